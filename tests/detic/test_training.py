"""Training from boxes, image labels and captions on small made images, and swapping vocabularies."""

import json
import tarfile

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner

import mmroad.detic  # noqa: F401 (registers)
from mmroad.detic.tar import TarImages, build_index
from mmroad.detic.vocabulary import Vocabulary, load_vocabulary, merge, parse_names, select
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model, uninitialized

CLASSES = 5


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """An LVIS-like file of boxes, an image-labeled one (images in a tar), embeddings and captions."""
    root = tmp_path_factory.mktemp('detic')
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(6):
        h, w = (48, 64) if i % 2 else (64, 48)
        image = rng.integers(0, 90, (h, w, 3), np.uint8)
        for c in rng.choice(CLASSES, 2, replace=False).tolist():
            x, y = int(rng.integers(0, w - 24)), int(rng.integers(0, h - 24))
            image[y : y + 22, x : x + 20] = (50 * c, 255 - 50 * c, 200)
            segmentation = [[x, y, x + 20, y, x + 20, y + 22, x, y + 22]]
            annotations.append(
                dict(id=len(annotations) + 1, image_id=i + 1, category_id=c + 1, bbox=[x, y, 20, 22], area=440,
                     segmentation=segmentation)
            )  # fmt: skip
        cv2.imwrite(str(root / f'{i}.jpg'), image)
        images.append(dict(id=i + 1, width=w, height=h, file_name=f'{i}.jpg'))
    categories = [dict(id=c + 1, name=f'class_{c}', image_count=c + 1) for c in range(CLASSES)]
    (root / 'boxes.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories))
    )
    (root / 'counts.json').write_text(json.dumps(categories))
    with tarfile.open(root / 'a.tar', 'w') as tar:
        for i in range(6):
            tar.add(root / f'{i}.jpg', f'{i}.jpg')
    assert build_index([root / 'a.tar'], root / 'index.npz') == 6
    weak = [
        dict({k: v for k, v in image.items() if k != 'file_name'}, tar_index=i, pos_category_ids=[i % CLASSES + 1],
             captions=['one', 'two'])
        for i, image in enumerate(images)
    ]  # fmt: skip
    (root / 'weak.json').write_text(json.dumps(dict(images=weak, categories=categories)))
    np.save(root / 'embeddings.npy', rng.normal(size=(CLASSES, 512)).astype(np.float16))
    np.save(root / 'captions.npy', rng.normal(size=(12, 512)).astype(np.float32))
    return root


def dataset(data, kind, size):
    steps = [
        dict(type='LoadDeticImage'),
        dict(type='LoadDeticAnnotations', with_bbox=True, with_mask=kind == 'box'),
    ]
    steps += [dict(type='EfficientDetResizeCrop', size=size, scale_range=(0.8, 1.2))]
    steps += [dict(type='RandomFlip', prob=0.5)]
    steps += [dict(type='LoadCaptionEmbedding')] if 'caption' in kind else []
    return dict(
        type='DeticDataset',
        ann_type=kind,
        ann_file=str(data / ('boxes.json' if kind == 'box' else 'weak.json')),
        data_prefix=dict(img=f'{data}/'),
        tar_index=str(data / 'index.npz'),
        caption_embeddings=str(data / 'captions.npy'),
        pipeline=[*steps, dict(type='PackDeticInputs')],
    )


def loader(data, kinds=('box', 'image')):
    init_default_scope('mmdet')
    cfg = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(
            type='DeticSampler', ratios=[1] * len(kinds), repeat=[k == 'box' for k in kinds], seed=0
        ),
        batch_sampler=dict(type='DeticBatchSampler', batch_sizes=[2, 3][: len(kinds)]),
        dataset=dict(
            type='ConcatDataset', datasets=[dataset(data, k, 96 if k == 'box' else 64) for k in kinds]
        ),
    )
    return Runner.build_dataloader(Config(cfg).to_dict())


def small(data, **options):
    """CenterNet2 with few classes and a ResNet-18."""
    cfg = get_config('BoxSup-C2_LCOCO_CLIP_R18_640b32_4x')
    cfg.merge_from_dict(
        {
            'model.roi_head.bbox_head.num_classes': CLASSES,
            'model.roi_head.bbox_head.fc_out_channels': 64,
            'model.roi_head.bbox_head.classifier.embeddings': str(data / 'embeddings.npy'),
            'model.roi_head.bbox_head.image_counts': str(data / 'counts.json'),
            'model.backbone.base_channels': 16,
            'model.neck.in_channels': [32, 64, 128],
            'model.backbone.norm_eval': False,
            # the boxes of an untrained model are far larger than the images
            'model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 1,
            'model.roi_head.mask_roi_extractor.roi_layer.sampling_ratio': 1,
            'model.train_cfg.rpn_proposal.max_per_img': 200,
            'model.train_cfg.rcnn.num': 64,
            **{f'model.{k}': v for k, v in options.items()},
        }
    )
    init_default_scope('mmdet')
    model = build_model(cfg)
    model.init_weights()
    return model.train()


def step(model, batch):
    return model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))


def batches(data, kinds=('box', 'image')):
    found = {}
    for batch in loader(data, kinds):
        found.setdefault(batch['data_samples'][0].ann_type, batch)
        if len(found) == len(kinds):
            return found


def test_batches_hold_one_kind_and_one_orientation(data):
    seen = set()
    for number, batch in enumerate(loader(data)):
        samples = batch['data_samples']
        kinds = {s.ann_type for s in samples}
        assert len(kinds) == 1 and len(samples) == dict(box=2, image=3)[min(kinds)]
        assert len({s.ori_shape[1] > s.ori_shape[0] for s in samples}) == 1
        assert max(max(x.shape[1:]) for x in batch['inputs']) <= dict(box=96, image=64)[min(kinds)]
        seen |= kinds
        if number > 20:
            break
    assert seen == {'box', 'image'}


@pytest.mark.parametrize('kind', ['max_size', 'max_score', 'first', 'min_loss', 'image', 'wsddn'])
def test_every_image_label_loss_trains_and_reaches_all_parameters(data, kind):
    options = {'roi_head.image_loss': kind}
    if kind == 'image':
        options['roi_head.image_box'] = True
    if kind == 'wsddn':
        options['roi_head.bbox_head.prop_score'] = True
    model = small(data, **options)
    found = batches(data)
    for ann_type, name in (('image', 's0.loss_image'), ('box', 'loss_mask')):
        loss, logged = step(model, found[ann_type])
        assert name in logged and torch.isfinite(loss)
        model.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)  # DDP needs it


def test_captions_and_the_dynamic_classifier_train(data):
    model = small(
        data,
        **{'roi_head.image_loss': 'max_size', 'roi_head.image_box': True, 'dynamic_classifier': 3,
           'roi_head.bbox_head.federated': 0, 'image_counts': str(data / 'counts.json'), 'sync_captions': True},
    )  # fmt: skip
    found = batches(data, ('box', 'captiontag'))
    loss, logged = step(model, found['captiontag'])
    assert {'s2.loss_caption', 's2.loss_image'} <= set(logged) and torch.isfinite(loss)
    assert torch.isfinite(step(model, found['box'])[0])


def test_the_loss_falls(data):
    torch.manual_seed(0)
    np.random.seed(0)
    model = small(data)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    batch = batches(data)['box']
    losses = []
    for _ in range(8):
        loss, _ = step(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss))
    assert np.median(losses[-3:]) < 0.6 * losses[0], losses


def test_mixed_batches_are_refused(data):
    from mmroad.detic.detector import annotation_kind

    found = batches(data)
    with pytest.raises(ValueError, match='must hold one kind of annotation'):
        annotation_kind([*found['box']['data_samples'], *found['image']['data_samples']])


def test_vocabularies_are_swapped_by_name_and_for_good(data, tmp_path):
    save_file = pytest.importorskip('safetensors.torch').save_file
    words = dict(zip('abc', torch.randn(3, 512)))
    save_file(words, tmp_path / 'words.safetensors')
    model = small(data).eval()
    model.vocabularies = dict(words=str(tmp_path / 'words.safetensors'))
    batch = model.data_preprocessor(batches(data)['box'])
    model.roi_head.test_cfg.score_thr = -1.0
    own = model.predict(**{'batch_inputs': batch['inputs'], 'batch_data_samples': batch['data_samples']})
    assert max(int(s.pred_instances.labels.max()) for s in own) == CLASSES - 1
    for s in batch['data_samples']:
        s.set_metainfo(dict(vocabulary='words'))
    swapped = model.predict(batch['inputs'], batch['data_samples'])
    assert max(int(s.pred_instances.labels.max()) for s in swapped) == 2
    kept = [s.pred_instances.scores.clone() for s in swapped]
    for s in batch['data_samples']:
        s.set_metainfo(dict(vocabulary=None))
    model.set_vocabulary(load_vocabulary(tmp_path / 'words.safetensors'))
    assert model.dataset_meta['classes'] == ('a', 'b', 'c')
    again = model.predict(batch['inputs'], batch['data_samples'])
    assert all(torch.allclose(s.pred_instances.scores, k) for s, k in zip(again, kept))


def test_names_are_parsed_selected_and_merged():
    assert parse_names(' traffic light , car') == ('traffic light', 'car')
    with pytest.raises(ValueError, match='more than once: car'):
        parse_names('car,bus, Car')
    with pytest.raises(ValueError, match='empty class name'):
        parse_names('car,,bus')
    words = Vocabulary(('Traffic_light', 'car'), torch.eye(2, 512))
    assert select(words, 'traffic light').embeddings[0, 0] == 1
    with pytest.raises(ValueError, match=r'lacks: cars \(near: car\)'):
        select(words, 'cars')
    assert (
        merge(words, Vocabulary(('bus',), torch.ones(1, 512))).embeddings.norm(dim=1).allclose(torch.ones(3))
    )


def test_a_model_without_embeddings_says_so(data):
    cfg = get_config('BoxSup-C2_LCOCO_CLIP_R18_640b32_4x')
    with uninitialized():
        model = build_model(cfg)
    with pytest.raises(RuntimeError, match='the classifier has no class embeddings'):
        model.roi_head.bbox_head[0].fc_cls(torch.zeros(1, 1024))
    with pytest.raises(FileNotFoundError, match='lvis_v1_clip_a'):
        model.roi_head.bbox_head[0].fc_cls.init_weights()


def test_tar_images_are_the_files(data, monkeypatch):
    images = TarImages.open(str(data / 'index.npz'))
    assert len(images) == 6 and images.read(3) == (data / '3.jpg').read_bytes()
    init_default_scope('mmdet')
    sample = DATASETS.build(dataset(data, 'image', 64))[3]['data_samples']
    assert sample.image_labels == [3] and sample.ann_type == 'image'
    names = [data / 'a.tar', data / 'b.tar']
    with pytest.raises(FileNotFoundError, match='not found: .*b.tar'):
        build_index(names, data / 'two.npz')
    (data / 'b.tar').write_text('cut')
    with pytest.raises(ValueError, match='b.tar: not a readable uncompressed tar file'):
        build_index(names, data / 'two.npz')
    with tarfile.open(data / 'b.tar', 'w') as tar:
        tar.add(data / '5.jpg', 'other.jpg')
    with monkeypatch.context() as patch:  # the first tar is not read again
        patch.setattr(
            tarfile, 'open', lambda path, mode, real=tarfile.open: path.stem == 'a' or real(path, mode)
        )
        assert build_index(names, data / 'two.npz') == 7
    assert TarImages(data / 'two.npz').read(6) == (data / '5.jpg').read_bytes()
    assert not list(data.glob('.*'))
    with pytest.raises(FileNotFoundError, match='make it with mmroad data tar-index'):
        TarImages(data / 'none.npz')
