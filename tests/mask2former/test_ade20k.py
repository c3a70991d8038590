"""ADE20K's panoptic files, made small: through the shipped pipelines, the model and all scores."""

import json

import numpy as np
import pytest
import torch
from mmdet.datasets import ADE20KPanopticDataset
from mmdet.registry import DATASETS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmroad.mask2former.ade20k import CATEGORIES, STUFF, THINGS, read_segments, segment_ids
from mmroad.zoo.configs import configs_folder

CONFIG = configs_folder() / 'rankseg/maskformer2_swin_large_IN21k_384_bs16_160k_ade20k_panoptic.py'
SIZE = (60, 80)
#: Regions by category id: stuff fills the picture, things lie on it. 7 bed, 12 person, 20 car.
SCENES = {
    'ADE_val_00000001': [
        (0, (0, 0, 30, 80)),
        (3, (30, 0, 60, 80)),
        (7, (20, 5, 50, 30)),
        (12, (5, 60, 55, 75)),
    ],
    'ADE_val_00000002': [
        (2, (0, 0, 60, 80)),
        (12, (10, 10, 40, 20)),
        (12, (10, 30, 40, 42)),
        (20, (45, 50, 58, 79)),
    ],
}


def test_classes_are_mmdets_by_category_id():
    names = ADE20KPanopticDataset.METAINFO['classes']
    assert (len(THINGS), len(STUFF)) == (100, 50) and sorted(CATEGORIES) == list(range(150))
    known = {0: 'wall', 2: 'sky', 7: 'bed', 8: 'window', 12: 'person', 20: 'car', 90: 'airplane', 149: 'flag'}
    assert {i: names[CATEGORIES.index(i)] for i in known} == known
    assert names[99] == 'flag' and names[149] == 'shower'


@pytest.fixture(scope='module')
def ade(tmp_path_factory):
    """A data root with two images and the files that Mask2Former's preparation makes."""
    root = tmp_path_factory.mktemp('ade')
    categories = [dict(id=i, name=f'{i} ', isthing=int(i in THINGS)) for i in range(150)]
    for split in ('train', 'val'):
        folder = f'{split}ing' if split == 'train' else 'validation'
        for part in (f'images/{folder}', f'annotations/{folder}', f'ade20k_panoptic_{split}'):
            (root / part).mkdir(parents=True)
        pan = dict(images=[], annotations=[], categories=categories)
        ins = dict(images=[], annotations=[], categories=[c for c in categories if c['isthing']])
        for name, regions in SCENES.items():
            rng = np.random.default_rng(1)
            Image.fromarray(rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(
                root / f'images/{folder}/{name}.jpg'
            )
            image = dict(id=name, file_name=f'{name}.jpg', height=SIZE[0], width=SIZE[1])
            ids, labels = np.zeros(SIZE, np.int32), np.zeros(SIZE, np.uint8)
            for number, (category, (y0, x0, y1, x1)) in enumerate(regions):
                ids[y0:y1, x0:x1], labels[y0:y1, x0:x1] = 300 * number + 5, category + 1
            labels[0] = 0  # no class
            infos = []
            for number, (category, _) in enumerate(regions):
                mask = ids == 300 * number + 5
                rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                box, area = coco.toBbox(rle).tolist(), int(mask.sum())
                infos.append(dict(id=300 * number + 5, category_id=category, area=area, bbox=box, iscrowd=0))
                if category in THINGS:
                    code = dict(size=rle['size'], counts=rle['counts'].decode())
                    ins['annotations'].append(
                        dict(infos[-1], id=len(ins['annotations']) + 1, image_id=name, segmentation=code)
                    )
            png = np.stack([ids % 256, ids // 256, ids * 0], -1).astype(np.uint8)
            Image.fromarray(png).save(root / f'ade20k_panoptic_{split}/{name}.png')
            Image.fromarray(labels).save(root / f'annotations/{folder}/{name}.png')
            pan['images'].append(image)
            ins['images'].append(image)
            pan['annotations'].append(dict(image_id=name, file_name=f'{name}.png', segments_info=infos))
        (root / f'ade20k_panoptic_{split}.json').write_text(json.dumps(pan))
        (root / f'ade20k_instance_{split}.json').write_text(json.dumps(ins))
    return root


@pytest.fixture
def cfg(ade):
    init_default_scope('mmdet')
    text = Config.fromfile(CONFIG).pretty_text.replace('data/ade/ADEChallengeData2016', str(ade))
    return Config.fromstring(text, '.py')


def dataset(cfg, split):
    return DATASETS.build(cfg[f'{split}_dataloader'].dataset)


def test_training_samples(cfg):
    (resize,) = [step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomChoiceResize']
    assert resize.scales == [64 * s for s in range(5, 21)]
    resize.scales = [320]
    data = dataset(cfg, 'train')
    assert len(data) == 2
    for i in range(2):
        item = data[i]
        sample, inputs = item['data_samples'], item['inputs']
        assert inputs.shape == (3, 640, 640) and inputs[:, -1, -1].tolist() == [128, 128, 128]
        assert sample.gt_classes == sorted(
            CATEGORIES.index(c) for c in {c for c, _ in list(SCENES.values())[i]}
        )
        gt, seg = sample.gt_instances, sample.gt_sem_seg.sem_seg[0]
        assert seg[-1, -1] == 255 and len(gt.masks) == len(gt.labels) > 0
        for label, mask in zip(gt.labels.tolist(), gt.masks.masks):  # instances are where their class is
            assert (seg[torch.from_numpy(mask).bool()] == label).float().mean() > 0.999


def test_other_categories_are_refused(cfg, ade, tmp_path):
    content = json.loads((ade / 'ade20k_panoptic_val.json').read_text())
    content['categories'][0]['isthing'] = 1
    (tmp_path / 'other.json').write_text(json.dumps(content))
    config = dict(cfg.val_dataloader.dataset, ann_file=str(tmp_path / 'other.json'))
    with pytest.raises(ValueError, match='other.json: categories are not'):
        DATASETS.build(config)


def queries(sample):
    """Logits of queries that see the truth: one mask per segment, then "no object"."""
    regions = SCENES[sample.img_id]
    ids = np.full(SIZE, -1)
    for number, (_, (y0, x0, y1, x1)) in enumerate(regions):
        ids[y0:y1, x0:x1] = number
    logits, masks = torch.full((len(regions) + 1, 151), -20.0), torch.full((len(regions) + 1, *SIZE), -9.0)
    for number, (category, _) in enumerate(regions):
        logits[number, CATEGORIES.index(category)] = 0.0
        masks[number, torch.from_numpy(ids == number)] = 9.0
    logits[-1, 150] = 0.0
    return logits, masks


def results(cfg, spoil=lambda logits, masks, sample: None):
    fusion = MODELS.build(dict(cfg.model.panoptic_fusion_head, test_cfg=cfg.model.test_cfg))
    samples = []
    for item in dataset(cfg, 'val'):
        sample = item['data_samples']
        logits, masks = queries(sample)
        spoil(logits, masks, sample)
        sample.set_metainfo(dict(img_shape=SIZE))  # these masks are made at the original size
        (result,) = fusion.predict(logits[None], masks[None], [sample], rescale=True)
        sample.pred_panoptic_seg, sample.pred_instances = result['pan_results'], result['ins_results']
        sample.pred_sem_seg = result['sem_results']
        samples.append(sample)
    return samples


def evaluate(cfg, samples):
    scores = {}
    for part in cfg.val_evaluator:
        metric = METRICS.build(part)
        metric.dataset_meta = ADE20KPanopticDataset.METAINFO
        metric.process({}, [sample.to_dict() for sample in samples])
        scores |= metric.evaluate(len(samples))
    return scores


def test_perfect_predictions_score_100_in_one_run(cfg):
    scores = evaluate(cfg, results(cfg))
    assert scores['panoptic/PQ'] == scores['panoptic/PQ_th'] == scores['panoptic/SQ_st'] == pytest.approx(100)
    assert scores['coco/segm_mAP'] == pytest.approx(1.0)
    assert scores['published/mIoU'] == scores['published/pAcc'] == pytest.approx(100)


def test_wrong_predictions_by_hand(cfg, tmp_path):
    def spoil(logits, masks, sample):
        if sample.img_id.endswith('1'):  # the bed becomes a person: one PQ class lost, one false person
            logits[2] = logits[3]
        else:  # half of the car
            masks[3, 45:58, 65:] = -9.0
            masks[0, 45:58, 65:] = 9.0

    cfg.val_evaluator[0]['format_dir'] = str(tmp_path)
    samples = results(cfg, spoil)
    scores = evaluate(cfg, samples)
    car = 13 * 15 / (13 * 29)
    sky = 60 * 80 - 30 * 10 - 30 * 12 - 13 * 29
    quality = dict(wall=1.0, floor=1.0, sky=sky / (sky + 13 * 14), bed=0.0, person=3 / 3.5, car=car)
    assert scores['panoptic/PQ'] == pytest.approx(100 * np.mean(list(quality.values())))
    assert scores['panoptic/PQ_th'] == pytest.approx(100 * (0 + 3 / 3.5 + car) / 3)
    written = json.loads((tmp_path / 'panoptic.json').read_text())
    assert [a['image_id'] for a in written['annotations']] == list(SCENES)
    bed, first_row = 30 * 25, 80
    right = 2 * 60 * 80 - 2 * first_row - bed - 13 * 14
    assert scores['published/pAcc'] == pytest.approx(100 * right / (2 * 60 * 80 - 2 * first_row))
    assert 0 < scores['coco/segm_mAP'] < 1


def test_instance_scores_are_cocos_and_not_rounded(cfg, ade):
    def spoil(logits, masks, sample):
        masks[1, :, 33:37] = -9.0
        masks[2, 12:17] = -9.0

    samples = results(cfg, spoil)
    scores = evaluate(cfg, samples)
    truth = COCO(str(ade / 'ade20k_instance_val.json'))
    detections = []
    for sample in samples:
        found = sample.pred_instances
        for mask, score, label in zip(found.masks.numpy(), found.scores.tolist(), found.labels.tolist()):
            code = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
            detections.append(
                dict(image_id=sample.img_id, category_id=THINGS[label], score=score, segmentation=code)
            )
    official = COCOeval(truth, truth.loadRes(detections), 'segm')
    official.params.maxDets = [100, 300, 1000]
    official.evaluate()
    official.accumulate()
    official.summarize()
    names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    assert {k: v for k, v in scores.items() if k.startswith('coco/')} == pytest.approx(
        {f'coco/segm_{name}': value for name, value in zip(names, official.stats)}, abs=1e-12
    )
    assert scores['coco/segm_mAP'] != round(scores['coco/segm_mAP'], 3)
    part = dict(cfg.val_evaluator[1])
    for changes in (dict(classwise=True), dict(metric='proposal'), dict(ann_file=None)):
        with pytest.raises(ValueError, match='ADE20KInstanceMetric'):
            METRICS.build(dict(part, **changes))


def test_no_instance_scores_0(cfg):
    metric = METRICS.build(cfg.val_evaluator[1])
    metric.dataset_meta = ADE20KPanopticDataset.METAINFO
    sample = results(cfg)[0]
    sample.pred_instances = sample.pred_instances[:0]
    metric.process({}, [sample.to_dict()])
    assert set(metric.evaluate(1).values()) == {0.0}


def test_kinds_that_neither_side_has_are_nan(cfg, ade, tmp_path):
    content = json.loads((ade / 'ade20k_panoptic_val.json').read_text())
    ids = {}
    for annotation in content['annotations']:
        infos = annotation['segments_info']
        annotation['segments_info'] = [s for s in infos if s['category_id'] in THINGS]
        ids[annotation['file_name']] = [s['id'] for s in infos if s['category_id'] in STUFF]
    (tmp_path / 'val.json').write_text(json.dumps(content))
    (tmp_path / 'seg').mkdir()
    for name, stuff in ids.items():
        picture = np.array(Image.open(ade / f'ade20k_panoptic_val/{name}'))
        picture[np.isin(segment_ids(picture), stuff)] = 0
        Image.fromarray(picture).save(tmp_path / f'seg/{name}')
    config = dict(cfg.val_evaluator[0], ann_file=str(tmp_path / 'val.json'), seg_prefix=str(tmp_path / 'seg'))
    metric = METRICS.build(config)
    for sample in results(cfg):
        segments = sample.pred_panoptic_seg.sem_seg
        segments[(segments % 1000 >= len(THINGS))] = 150
        metric.process({}, [sample.to_dict()])
    scores = metric.evaluate(2)
    assert scores['panoptic/PQ'] == scores['panoptic/PQ_th'] == pytest.approx(100)
    assert all(np.isnan(scores[f'panoptic/{key}_st']) for key in ('PQ', 'SQ', 'RQ'))


def test_images_of_one_name_are_told(cfg, tmp_path):
    metric = METRICS.build(dict(cfg.val_evaluator[0], format_dir=str(tmp_path)))
    sample = results(cfg)[0].to_dict()
    metric.process({}, [dict(sample, img_path='a/1.jpg')])
    with pytest.raises(ValueError, match=r'a/1\.jpg and b/1\.jpg would both be written to .*panoptic/1\.png'):
        metric.process({}, [dict(sample, img_path='b/1.jpg')])


def test_bad_panoptic_pictures_are_named(ade, tmp_path):
    source = np.array(Image.open(ade / 'ade20k_panoptic_val/ADE_val_00000001.png'))
    ids, path = [5, 305, 605, 905], tmp_path / 'pan.png'
    Image.fromarray(source).save(path)
    assert np.array_equal(read_segments(path, SIZE, ids), segment_ids(source))
    with pytest.raises(
        ValueError, match=r'pan\.png: \(60, 80\) pixels \(height, width\), its image has \(80, 60\)'
    ):
        read_segments(path, SIZE[::-1], ids)
    with pytest.raises(ValueError, match=r'pan\.png: .*\[905\] are not listed, \[7\] are not in the picture'):
        read_segments(path, SIZE, [5, 305, 605, 7])
    for listed in ([*ids, 5], [0, *ids]):
        with pytest.raises(
            ValueError, match=r'pan\.png: its JSON file lists a segment twice, or one with id 0'
        ):
            read_segments(path, SIZE, listed)
    Image.fromarray(source[..., 0]).save(path)
    with pytest.raises(ValueError, match=r"pan\.png: Pillow's mode L, expected RGB"):
        read_segments(path, SIZE, ids)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r'pan\.png: not an image that can be read'):
        read_segments(path, SIZE, ids)
    with pytest.raises(FileNotFoundError, match=r'b\.png: no such panoptic PNG'):
        read_segments(tmp_path / 'b.png', SIZE, ids)


def test_bad_annotation_files_are_named(cfg, ade, tmp_path):
    path, content = tmp_path / 'val.json', json.loads((ade / 'ade20k_panoptic_val.json').read_text())
    config = dict(cfg.val_dataloader.dataset, ann_file=str(path))
    with pytest.raises(FileNotFoundError, match=r'val\.json: no such file'):
        DATASETS.build(config)
    other = json.loads(json.dumps(content))
    other['annotations'][1]['segments_info'][0]['category_id'] = 150
    bare = json.loads(json.dumps(content))
    del bare['images'][0]['height']
    for value, message in (
        ('[1', 'not JSON'),
        ('[' * 10**5, 'not JSON'),
        ('[]', 'no list categories and images and annotations in it'),
        (json.dumps(dict(content, annotations=None)), 'no list annotations in it'),
        (
            json.dumps(dict(content, annotations=content['annotations'][1:])),
            "'ADE_val_00000001' has no annotation",
        ),
        (json.dumps(other), "'ADE_val_00000002': segment 5 has the category 150, which is none of the 150"),
        (json.dumps(bare), "'ADE_val_00000001': no 'height' in it"),
    ):
        path.write_text(value)
        with pytest.raises(ValueError, match=rf'val\.json: .*{message}'):
            DATASETS.build(config)


def test_another_label_map_is_named_in_the_semantic_scores(cfg, ade, tmp_path):
    sample = results(cfg)[0].to_dict()
    metric = METRICS.build(dict(cfg.val_evaluator[2], seg_prefix=str(tmp_path)))
    metric.dataset_meta = ADE20KPanopticDataset.METAINFO
    for labels, message in ((np.full(SIZE, 151), 'values 151'), (np.zeros((3, 4)), 'has 3 x 4 pixels')):
        Image.fromarray(labels.astype(np.uint8)).save(tmp_path / 'ADE_val_00000001.png')
        with pytest.raises(ValueError, match=rf'ADE_val_00000001\.png: .*{message}'):
            metric.process({}, [sample])


SMALL = dict(
    type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), style='pytorch', init_cfg=None
)  # fmt: skip


@pytest.mark.parametrize('kind', ['', '-rankseg', '-gt'])
def test_a_training_step_and_a_prediction_from_files(cfg, ade, kind):
    path = str(CONFIG).replace('_ade20k', f'{kind}_ade20k')
    text = Config.fromfile(path).pretty_text.replace('data/ade/ADEChallengeData2016', str(ade))
    cfg = Config.fromstring(text.replace('(640, 640)', '(96, 96)').replace('640,\n', '96,\n'), '.py')
    cfg.model.backbone = SMALL
    cfg.model.panoptic_head.update(in_channels=[64, 128, 256, 512], num_queries=12)
    cfg.model.train_cfg.num_points = 256
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.panoptic_head.init_weights()
    batch = pseudo_collate([dataset(cfg, 'train')[i] for i in range(2)])
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    assert ('loss_ml' in losses) == (kind == '-rankseg')
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total) and model.panoptic_head.cls_embed.weight.grad.abs().sum() > 0
    model.eval()
    scores = []
    with torch.no_grad():
        for item in dataset(cfg, 'val'):
            (sample,) = model.test_step(pseudo_collate([item]))
            scores.append(sample)
            assert sample.pred_sem_seg.sem_seg.shape == sample.pred_panoptic_seg.sem_seg.shape == (1, *SIZE)
            if kind == '-gt':
                assert set(sample.pred_sem_seg.sem_seg.unique().tolist()) <= set(sample.gt_classes)
    found = evaluate(cfg, scores)
    assert 0 <= found['panoptic/PQ'] <= 100
    if kind == '-rankseg':
        assert found['ranking/recall@20'] <= 100 and found['ranking/AP'] > 0
