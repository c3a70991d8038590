"""SAFE: what it looks at, how it perturbs, what it learns, and the scores it gives."""

import json

import numpy as np
import pytest
import torch
from mmdet.models import FasterRCNN
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from mmengine.utils import import_modules_from_strings

from mmroad import get_config
from mmroad.anomaly.safe import SafeHead
from mmroad.zoo.models import build_model

SIZE = (64, 96)


def batch(n=2, truth=True):
    rng = np.random.default_rng(0)
    images, samples = [], []
    for i in range(n):
        h, w = SIZE[0] - 8 * i, SIZE[1] - 16 * i
        images.append(torch.from_numpy(rng.integers(0, 256, (3, h, w), dtype=np.uint8)))
        meta = dict(
            img_shape=(h, w), ori_shape=(h // 2, w // 2), scale_factor=(2.0, 2.0), img_path=f'{i}.png'
        )
        sample = DetDataSample(metainfo=meta)
        if truth:
            boxes = torch.tensor([[4.0, 4, 30, 30], [20, 10, 60, 50]])
            sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([2, 0]))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


@pytest.fixture(scope='module')
def model():
    """The small Faster R-CNN with SAFE, which detects something in anything."""
    torch.manual_seed(0)
    cfg = get_config('safe_faster-rcnn_r18_fpn_road_scenes')
    import_modules_from_strings(**cfg.custom_imports)
    cfg.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=7)
    model = build_model(cfg)
    model.init_weights()
    return model.eval()


def bilinear(feature, y, x):
    """Value (C,) of a feature map (C, H, W) between its cells."""
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, feature.shape[1] - 1), min(x0 + 1, feature.shape[2] - 1)
    top = feature[:, y0, x0] * (1 - (x - x0)) + feature[:, y0, x1] * (x - x0)
    bottom = feature[:, y1, x0] * (1 - (x - x0)) + feature[:, y1, x1] * (x - x0)
    return top * (1 - (y - y0)) + bottom * (y - y0)


def test_features_are_means_of_boxes_as_roialign_takes_them(model):
    """RoIAlign (He et al., arXiv 1703.06870) to one cell, without an offset, one sample a cell of the features."""
    torch.manual_seed(0)
    found = {
        i: torch.randn(2, c, 64 // s, 96 // s) for i, (c, s) in enumerate([(64, 8), (128, 16), (256, 32)])
    }
    boxes = [torch.tensor([[5.0, 9, 61, 40]]), torch.tensor([[0.0, 0, 90, 60], [33, 17, 50, 30]])]
    got = model.sensitive_features(found, boxes, 64)
    assert got.shape == (3, 448)
    for row, (image, (x1, y1, x2, y2)) in enumerate([(0, boxes[0][0]), (1, boxes[1][0]), (1, boxes[1][1])]):
        want = []
        for part, stride in zip(found.values(), (8, 16, 32)):
            left, top = x1 / stride, y1 / stride
            width, height = max((x2 - x1) / stride, 1), max((y2 - y1) / stride, 1)
            nx, ny = int(np.ceil(width)), int(np.ceil(height))
            points = [
                (top + (j + 0.5) * height / ny, left + (i + 0.5) * width / nx)
                for j in range(ny)
                for i in range(nx)
            ]
            want.append(torch.stack([bilinear(part[image], *map(float, p)) for p in points]).mean(0))
        torch.testing.assert_close(got[row], torch.cat(want), rtol=1e-4, atol=1e-5)
    assert model.sensitive_features(found, [boxes[0][:0]] * 2, 64).shape == (0, 448)


def test_it_watches_the_outputs_of_residual_convolutions(model):
    inputs = model.data_preprocessor(batch(), False)['inputs']
    with torch.no_grad(), model.watching() as found:
        model.backbone(inputs)
    assert [tuple(part.shape[1:]) for part in found.values()] == [(64, 8, 12), (128, 4, 6), (256, 2, 3)]
    assert not model.backbone.layer2[0].downsample._forward_hooks


@pytest.mark.parametrize('name', ['r50_fpn_bdd100k', 'r50_fpn_voc', 'r18_fpn_road_scenes'])
def test_the_recipe_is_five_epochs_of_sgd_that_end(name):
    cfg = get_config(f'safe_faster-rcnn_{name}')
    assert cfg.train_dataloader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert cfg.train_cfg == dict(type='EpochBasedTrainLoop', max_epochs=5, val_interval=5)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.001, momentum=0.9) and not cfg.param_scheduler
    images = cfg.train_dataloader.batch_size * cfg.optim_wrapper.accumulative_counts
    assert images == (4 if 'r18' in name else 32)
    dataset = cfg.train_dataloader.dataset
    for own in dataset.get('datasets', [dataset]):
        assert not {'RandomFlip', 'PhotoMetricDistortion'} & {t.type for t in own.pipeline}


def test_training_changes_safe_alone(model):
    model.train()
    assert model.training and model.safe.training and not model.backbone.training
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode='loss')
    assert set(losses) == {'loss_safe', 'safe_acc'} and losses['loss_safe'].item() > 0
    losses['loss_safe'].backward()
    optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if k.startswith('safe.')}
    assert model.safe.count == 14  # boxes
    model.eval()


def test_the_perturbation_follows_the_losss_gradient_within_the_picture(model, monkeypatch):
    data = model.data_preprocessor(batch(), True)
    inputs, samples = data['inputs'], data['data_samples']
    torch.manual_seed(0)
    slope = torch.randn_like(inputs)
    losses = dict(loss_a=lambda images: (images * slope).sum(), acc=lambda images: images.sum() * 0)
    monkeypatch.setattr(FasterRCNN, 'loss', lambda _, images, __: {k: f(images) for k, f in losses.items()})
    moved = model.perturb(inputs, samples)
    std, mean = model.data_preprocessor.std, model.data_preprocessor.mean
    want = ((inputs * std + mean) + 8 * slope.sign()).clamp(0, 255)
    h, w = samples[1].img_shape
    gray = moved * std + mean
    torch.testing.assert_close(gray[0], want[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(gray[1, :, :h, :w], want[1, :, :h, :w], rtol=0, atol=1e-3)
    assert torch.equal(moved[1, :, h:], inputs[1, :, h:]) and torch.equal(
        moved[1, :, :, w:], inputs[1, :, :, w:]
    )
    assert (want == 0).any() and (want == 255).any()


def test_a_score_is_minus_the_logit_of_its_own_box(model):
    data = model.data_preprocessor(batch(truth=False), False)
    plain = FasterRCNN.predict(model, data['inputs'], batch(truth=False)['data_samples'], rescale=True)
    with torch.no_grad():
        found = model.predict(data['inputs'], data['data_samples'])
        with model.watching() as layers:
            model.backbone(data['inputs'])
    for sample, other in zip(found, plain, strict=True):
        torch.testing.assert_close(sample.pred_instances.bboxes, other.pred_instances.bboxes)
    boxes = [sample.pred_instances.bboxes * 2 for sample in found]  # into the input's pixels
    features = model.sensitive_features(layers, boxes, data['inputs'].shape[2])
    want = -model.safe(features)
    got = torch.cat([sample.pred_instances.ood_scores for sample in found])
    torch.testing.assert_close(got, want)
    assert len(got) == 14 and got.std() > 0


def test_the_classifier_learns_and_keeps_the_mean():
    torch.manual_seed(0)
    head = SafeHead([4, 4])
    known, other = torch.randn(400, 8) + 3, torch.randn(400, 8) + 4
    for part in known.split(150):
        head.count_in(part)
    head.count_in(known[:0])
    torch.testing.assert_close(head.mean, known.mean(0))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.02, momentum=0.9)
    target = torch.cat([torch.ones(400), torch.zeros(400)])
    for _ in range(100):
        optimizer.zero_grad()
        logits = head(torch.cat([known, other]))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, target).backward()
        optimizer.step()
    head.eval()
    assert ((head(torch.cat([known, other])) > 0) == target.bool()).float().mean() > 0.85


def test_without_detections_there_is_a_loss_of_zero(model):
    keep, model.test_cfg.rcnn.score_thr = model.test_cfg.rcnn.score_thr, 1.0
    model.roi_head.test_cfg.score_thr = 1.0
    try:
        losses = model(**model.data_preprocessor(batch(), True), mode='loss')
        losses['loss_safe'].backward()
        assert losses['loss_safe'] == 0 and all(p.grad is not None for p in model.safe.parameters())
        (sample, _) = model.test_step(batch(truth=False))
        assert sample.pred_instances.ood_scores.shape == (0,)
    finally:
        model.test_cfg.rcnn.score_thr = model.roi_head.test_cfg.score_thr = keep


@pytest.mark.parametrize('name', ['retinanet_r50_fpn_1x_det_bdd100k', 'fcos_r50_fpn_1x_det_bdd100k'])
def test_any_resnet_detector_has_it(name):
    cfg = get_config(name)
    cfg.model.type = f'Safe{cfg.model.type}'
    small = build_model(cfg).eval()
    assert small.safe.mean.shape == (256 + 512 + 1024 + 2048,)
    assert {k for k in small.state_dict() if k.startswith('safe')} | set(
        build_model(get_config(name)).state_dict()
    ) == set(small.state_dict())


def test_a_backbone_without_residual_convolutions_is_told():
    cfg = get_config('faster_rcnn_swin-t_fpn_1x_det_bdd100k')
    cfg.model.type = 'SafeFasterRCNN'
    with pytest.raises(ValueError, match='SwinTransformer: no residual stage'):
        build_model(cfg)


def test_vos_own_files_are_read_as_they_are(tmp_path):
    """Images without annotations stay; those of OpenImages have names as ids and no annotations at all."""
    from mmengine.registry import DATASETS, init_default_scope

    init_default_scope('mmdet')
    cfg = get_config('faster-rcnn_r50_fpn_bdd100k_vos')
    _, coco, openimages = cfg.test_dataloader.dataset.datasets
    categories = [dict(id=1, name='person', supercategory='person'), dict(id=17, name='cat')]
    images = [dict(id=i, width=8, height=8, file_name=f'{i:012}.jpg', license=1) for i in (9, 42)]
    box = dict(id=1, image_id=9, category_id=17, bbox=[1, 1, 4, 4], area=16, iscrowd=0)
    content = dict(info={}, licenses=[], categories=categories, images=images, annotations=[box])
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    named = [dict(image, id=name, file_name=f'{name}.jpg') for image, name in zip(images, ('0a1f', 'ff02'))]
    (tmp_path / 'openimages.json').write_text(json.dumps(dict(content, images=named, annotations=[])))
    for part, name in ((coco, 'coco'), (openimages, 'openimages')):
        part.ann_file = str(tmp_path / f'{name}.json')
    found = DATASETS.build(coco)
    assert [found.get_data_info(i)['img_path'] for i in range(len(found))] == [
        'data/coco/val2017/000000000009.jpg',
        'data/coco/val2017/000000000042.jpg',
    ]
    found = DATASETS.build(openimages)
    folder = cfg.test_evaluator.ood_prefixes.openimages
    assert [found.get_data_info(i)['img_path'] for i in range(len(found))] == [
        f'{folder}/0a1f.jpg',
        f'{folder}/ff02.jpg',
    ]
