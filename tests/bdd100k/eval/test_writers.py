"""Prediction files of the metrics: read back as they were, scored by the official evaluator with equal numbers."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from bdd100k.common.bitmask import parse_bitmask
from mask_cases import SIZE, edited, official, ours, regions, rle, same, write_png
from PIL import Image

import mmroad.bdd100k.transforms  # noqa: F401 (registers)
from mmroad.bdd100k import run_metric
from mmroad.bdd100k.bitmasks import CROWD, IGNORED, OCCLUDED, TRUNCATED, bitmask, read_segments
from mmroad.bdd100k.eval import ins_seg, pan_seg
from mmroad.bdd100k.eval.masks import read_frames
from mmroad.bdd100k.instance_metric import BDD100KInsSegMetric, BDD100KPanSegMetric
from mmroad.bdd100k.instances import BDD100KInsSegDataset, BDD100KPanSegDataset
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.bdd100k.sem_seg import BDD100KDrivableDataset, BDD100KDrivableMetric
from mmroad.files.images import ImageError
from mmroad.submissions.bdd100k import write
from mmroad.submissions.files import Request

pytestmark = pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')


def instance_sample(path, masks, labels, scores, truth=None, index=0):
    masks = np.asarray(masks, bool).reshape(-1, *SIZE)
    found = dict(
        masks=torch.from_numpy(masks),
        labels=torch.tensor(labels, dtype=torch.long),
        scores=torch.tensor(scores, dtype=torch.float32),
        bboxes=torch.tensor([[0.0, 0.0, 8.0, 9.0]] * len(masks)).reshape(-1, 4),
    )
    return dict(img_path=str(path), img_id=index, truth=truth, pred_instances=found)


def evaluated(metric, dataset, samples):
    metric.dataset_meta = dataset.METAINFO
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def test_bitmasks_have_the_toolkits_bits(tmp_path):
    segment = np.zeros(SIZE, int)
    segment[2:9, 3:20], segment[20:30, 10:70], segment[40:, :9] = 1, 2, 3
    bits = [TRUNCATED, OCCLUDED | CROWD, IGNORED]
    pixels = bitmask(segment, [3, 8, 1], [300, 1, 65535], bits)
    masks, ids, attributes, categories = parse_bitmask(pixels)
    assert list(zip(ids, categories, attributes)) == [(1, 8, bits[1]), (300, 3, bits[0]), (65535, 1, bits[2])]
    write_png(tmp_path / 'a.png', pixels)
    found = read_segments(tmp_path / 'a.png', ins_seg.CLASSES, SIZE)
    assert found.categories.tolist() == [8, 3, 1] and found.ignored.tolist() == [True, False, True]
    assert all((mask == (segment == i)).all() for mask, i in zip(found.masks, (2, 1, 3), strict=True))
    assert found.boxes().tolist() == [[10, 20, 70, 30], [3, 2, 20, 9], [0, 40, 9, 48]]
    for ids in ([0, 1, 2], [1, 1, 2], [1, 2, 65536]):
        with pytest.raises(ValueError, match='1 to 65535'):
            bitmask(segment, [1, 1, 1], ids)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda p: p[..., :3], 'mode RGB; expected RGBA'),
        (lambda p: np.where(p == 3, 9, p), r'categories \[9\] .* none of 1 to 8'),
        (lambda p: p[1:], r'masks of \(47, 80\); its image has \(48, 80\)'),
        (
            lambda p: (
                p
                + np.uint8([0, 1, 0, 0])
                * (np.arange(SIZE[1]) % 2)[None, :, None].astype(np.uint8)
                * (p[..., 3:] > 0)
            ),
            'several categories or attributes',
        ),
    ],
)
def test_what_is_no_bitmask_of_the_image_is_named(tmp_path, change, words):
    segment = np.zeros(SIZE, int)
    segment[2:9, 3:20] = 1
    write_png(tmp_path / 'a.png', bitmask(segment, [3], [1]))
    edited(tmp_path / 'a.png', change)
    with pytest.raises(LabelFileError, match=f'a.png: .*{words}'):
        read_segments(tmp_path / 'a.png', ins_seg.CLASSES, SIZE)


def test_the_best_score_lies_on_top_and_ids_go_beyond_255(tmp_path):
    masks = np.zeros((300, *SIZE), bool)
    for i in range(300):
        masks[i, i % 48, i // 48 * 10 : i // 48 * 10 + 9] = True
    masks[1, 0, :5] = True  # on part of the first one
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 8, 300), rng.permutation(300) / 300
    metric = BDD100KInsSegMetric(format_only=True, format_dir=str(tmp_path))
    assert evaluated(metric, BDD100KInsSegDataset, [instance_sample('x/a.jpg', masks, labels, scores)]) == {}
    found = read_segments(tmp_path / 'bitmasks/a.png', ins_seg.CLASSES, SIZE)
    order = np.argsort(-scores)
    assert len(found.categories) == 300 and (found.categories == labels[order] + 1).all()
    over, under = (1, 0) if scores[1] > scores[0] else (0, 1)
    masks[under] &= ~masks[over]
    assert (found.masks == masks[order]).all()
    (frame,) = json.loads((tmp_path / 'score.json').read_text())
    assert frame['name'] == 'a.jpg' and [x['index'] for x in frame['labels']] == list(range(1, 301))
    assert np.allclose([x['score'] for x in frame['labels']], scores[order])
    (boxes,) = json.loads((tmp_path / 'det.json').read_text())['frames']
    assert len(boxes['labels']) == 300 and boxes['labels'][0]['box2d'] == dict(x1=0, y1=0, x2=7, y2=8)


def scenes(folder, task, images=3, count=9):
    """Bitmasks and codes of one ground truth; maps of ids and classes."""
    rng, frames, made = np.random.default_rng(5), [], []
    for i in range(images):
        grid, moved = regions(rng, count)
        classes = np.append(0, rng.integers(1, 9 if task == 'ins_seg' else 41, count))
        if task == 'pan_seg':  # stuff once a class
            classes[1:] = rng.permutation(40)[:count] + 1
        there = [k for k in range(1, count + 1) if (grid == k).any()]
        ids = classes if task == 'pan_seg' else np.arange(count + 1)
        write_png(
            folder / f'gt/{i}.png', bitmask(grid, classes[1:], np.where(classes > 30, classes, ids)[1:])
        )
        names = ins_seg.CLASSES if task == 'ins_seg' else pan_seg.CLASSES
        labels = [dict(id=str(k), category=names[classes[k] - 1], rle=rle(grid == k)) for k in there]
        frames.append(dict(name=f'{i}.jpg', labels=labels))
        made.append((grid, moved, classes, there))
    (folder / 'gt.json').write_text(json.dumps(frames))
    return made


@pytest.mark.parametrize('truth', ['bitmasks', 'codes'])
@pytest.mark.parametrize('perfect', [True, False])
def test_ins_seg_scores_are_the_official_ones_of_the_files(tmp_path, truth, perfect):
    made = scenes(tmp_path, 'ins_seg')
    frames = read_frames(tmp_path / 'gt.json', ins_seg.CLASSES)
    samples, rng = [], np.random.default_rng(1)
    for i, (grid, moved, classes, there) in enumerate(made):
        source = grid if perfect else moved
        there = [k for k in there if (source == k).any()] if i or perfect else []
        target = str(tmp_path / f'gt/{i}.png') if truth == 'bitmasks' else frames[i]
        masks = [source == k for k in there]
        samples.append(
            instance_sample(
                f'{i}.jpg', masks, [classes[k] - 1 for k in there], rng.random(len(there)), target, i
            )
        )
    out = tmp_path / 'out'
    scores = evaluated(BDD100KInsSegMetric(format_dir=str(out)), BDD100KInsSegDataset, samples)
    if truth == 'bitmasks':
        paths = tmp_path / 'gt', out / 'bitmasks', out / 'score.json'
    else:  # the same predictions as codes
        boxes = {f['name']: f for f in json.loads((out / 'score.json').read_text())}
        found = []
        for i in range(len(samples)):
            s = read_segments(out / f'bitmasks/{i}.png', ins_seg.CLASSES)
            ids = np.unique(np.asarray(Image.open(out / f'bitmasks/{i}.png'))[..., 3])
            score = {x['index']: x['score'] for x in boxes[f'{i}.jpg']['labels']}
            labels = [
                dict(id=str(k), category=ins_seg.CLASSES[c - 1], score=score[k], rle=rle(m))
                for k, c, m in zip(ids[ids > 0].tolist(), s.categories, s.masks, strict=True)
            ]
            found.append(dict(name=f'{i}.jpg', labels=labels))
        (tmp_path / 'pred.json').write_text(json.dumps(found))
        paths = tmp_path / 'gt.json', tmp_path / 'pred.json'
    want = official('ins_seg', *paths)
    same(ours('ins_seg', *paths), want)
    assert scores['bdd100k/AP'] == pytest.approx(dict(want)['AP'][1]['OVERALL'])
    assert scores['bdd100k/AP'] == (pytest.approx(100) if perfect else pytest.approx(scores['bdd100k/AP']))
    assert 0 <= scores['bdd100k/box_AP'] < 60 and (perfect or scores['bdd100k/AP'] < 90)


@pytest.mark.parametrize('truth', ['bitmasks', 'codes'])
@pytest.mark.parametrize('perfect', [True, False])
def test_pan_seg_files_score_the_same_by_both_evaluators(tmp_path, truth, perfect):
    made = scenes(tmp_path, 'pan_seg')
    frames = read_frames(tmp_path / 'gt.json', pan_seg.CLASSES)
    samples = []
    for i, (grid, moved, classes, _) in enumerate(made):
        label = np.where(classes > 30, classes - 31, classes + 9) + 1000 * (classes > 30) * np.arange(
            len(classes)
        )
        label[0] = 40
        target = str(tmp_path / f'gt/{i}.png') if truth == 'bitmasks' else frames[i]
        found = torch.from_numpy(label[grid if perfect else moved])[None]
        samples.append(
            dict(img_path=f'{i}.jpg', img_id=i, truth=target, pred_panoptic_seg=dict(sem_seg=found))
        )
    out = tmp_path / 'out'
    scores = evaluated(BDD100KPanSegMetric(format_dir=str(out)), BDD100KPanSegDataset, samples)
    kinds = dict(
        bitmasks=(tmp_path / 'gt', out / 'bitmasks'), codes=(tmp_path / 'gt.json', out / 'pan_seg.json')
    )
    wants = {kind: dict(official('pan_seg', *paths)) for kind, paths in kinds.items()}
    for kind, paths in kinds.items():
        same(ours('pan_seg', *paths), wants[kind])
    for key in ('PQ', 'SQ', 'RQ'):
        assert scores[f'bdd100k/{key}'] == pytest.approx(wants[truth][key][2]['OVERALL'])
    assert wants['bitmasks']['PQ'][2]['OVERALL'] == pytest.approx(wants['codes']['PQ'][2]['OVERALL'])
    assert scores['bdd100k/PQ/THING'] == pytest.approx(wants[truth]['PQ'][1]['THING'])
    assert perfect == (scores['bdd100k/PQ'] == pytest.approx(100))


def test_more_than_a_hundred_segments_are_told_and_all_written(tmp_path, caplog):
    found = torch.arange(48 * 80).reshape(1, *SIZE) // 30 * 1000 + 4  # cars of 30 pixels
    found[0, :4], found[0, 4:6], found[0, 6:8] = 40, 9 + 7, 9 + 30
    sample = dict(img_path='a.jpg', img_id=0, truth=None, pred_panoptic_seg=dict(sem_seg=found))
    metric = BDD100KPanSegMetric(format_only=True, format_dir=str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert evaluated(metric, BDD100KPanSegDataset, [sample]) == {}
    (frame,) = json.loads((tmp_path / 'pan_seg.json').read_text())
    segments = read_segments(tmp_path / 'bitmasks/a.png', pan_seg.CLASSES, SIZE)
    categories = [label['category'] for label in frame['labels']]
    assert len(categories) == len(segments.categories) > 100
    assert sorted(set(categories)) == ['car', 'road', 'sky'] and categories.count('road') == 1
    assert segments.masks.sum() == 44 * 80 and segments.masks.any(0)[:4].sum() == 0
    with pytest.raises(LabelFileError, match='at most 100'):
        write_png(tmp_path / 'gt/a.png', bitmask(np.ones(SIZE, int), [1], [1]))
        ours('pan_seg', tmp_path / 'gt', tmp_path / 'bitmasks')


@pytest.mark.parametrize('task', ['ins_seg', 'pan_seg'])
def test_an_image_that_cannot_be_read_is_left_out_and_named(tmp_path, task, monkeypatch):
    scenes(tmp_path, task)
    for i in range(3):
        write_png(tmp_path / f'images/{i}.png', np.zeros((*SIZE, 3)))
    (tmp_path / 'images/1.png').write_bytes(b'no image')
    kind, kind_of_metric = dict(
        ins_seg=(BDD100KInsSegDataset, BDD100KInsSegMetric),
        pan_seg=(BDD100KPanSegDataset, BDD100KPanSegMetric),
    )[task]
    pack = dict(type='mmdet.FastPackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'truth'))
    options = dict(
        data_root=str(tmp_path),
        data_prefix=dict(img='images', bitmask='gt'),
        pipeline=[dict(type='mmdet.LoadImageFromFile'), pack],
    )
    metric = kind_of_metric(format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = kind.METAINFO
    dataset = kind(**options, test_mode=True)
    dataset.leaves_out = True
    for item in dataset:
        sample = item['data_samples'].to_dict()
        found = read_segments(sample['truth'], ins_seg.CLASSES if task == 'ins_seg' else pan_seg.CLASSES)
        if 'left_out' in sample:
            assert not item['inputs'].any()
            found.masks = found.masks[:, :1, :1]  # of another size: nothing of it is used
        if task == 'ins_seg':
            scores = torch.linspace(0.9, 0.5, len(found.masks))
            made = instance_sample('', [], [], [])['pred_instances'] | dict(
                masks=torch.from_numpy(found.masks), labels=torch.from_numpy(found.categories - 1), scores=scores,
                bboxes=torch.from_numpy(found.boxes()),
            )  # fmt: skip
            sample['pred_instances'] = made
        else:
            label = np.where(found.categories > 30, found.categories - 31, found.categories + 9)
            label = label + 1000 * np.arange(len(label)) * (found.categories > 30)
            pixels = np.where(found.masks.any(0), label[found.masks.argmax(0)], 40)
            sample['pred_panoptic_seg'] = dict(sem_seg=torch.from_numpy(pixels)[None])
        metric.process({}, [sample])
    said = []
    monkeypatch.setattr(run_metric, 'print_log', lambda text, **kwargs: said.append(text))
    scores = metric.evaluate(3)
    (path,) = metric.left_out
    assert path == str(tmp_path / 'images/1.png') and path in metric.left_out[path]
    assert said == [f'left out, neither written nor scored (1):\n  {metric.left_out[path]}']
    assert scores['bdd100k/AP' if task == 'ins_seg' else 'bdd100k/PQ'] == pytest.approx(100)
    assert {p.name for p in (tmp_path / 'out/bitmasks').iterdir()} == {'0.png', '2.png'}
    names = 'score.json' if task == 'ins_seg' else 'pan_seg.json'
    assert [f['name'] for f in json.loads((tmp_path / 'out' / names).read_text())] == ['0.png', '2.png']
    with pytest.raises(ImageError, match='images/1.png'):
        kind(**options)[1]


def drivable_sample(path, pred, gt):
    return dict(
        img_path=str(path),
        pred_sem_seg=dict(data=torch.from_numpy(pred)[None]),
        gt_sem_seg=dict(data=torch.from_numpy(gt)[None]),
    )


def test_drivable_scores_are_the_official_ones_of_masks_and_codes(tmp_path):
    rng, samples, frames = np.random.default_rng(2), [], []
    for i in range(3):
        grid, moved = regions(rng, 9)
        classes = np.append(2, rng.integers(0, 3, 9)).astype(np.uint8)
        gt, pred = classes[grid], classes[moved]
        gt[:2] = 255
        write_png(tmp_path / f'gt/{i}.png', gt)
        names = ('direct', 'alternative', 'background')
        labels = [dict(id=str(k), category=names[k], rle=rle(gt == k)) for k in range(3) if (gt == k).any()]
        frames.append(dict(name=f'{i}.jpg', labels=labels))
        samples.append(drivable_sample(f'{i}.jpg', pred, gt))
    (tmp_path / 'gt.json').write_text(json.dumps(frames))
    out = tmp_path / 'out'
    scores = evaluated(BDD100KDrivableMetric(format_dir=str(out)), BDD100KDrivableDataset, samples)
    for paths in ((tmp_path / 'gt', out / 'masks'), (tmp_path / 'gt.json', out / 'drivable.json')):
        want = dict(official('drivable', *paths))
        same(ours('drivable', *paths), want)
        assert scores['mIoU'] == pytest.approx(want['IoU'][1]['AVERAGE'])
    assert 'background' in {
        x['category'] for f in json.loads((out / 'drivable.json').read_text()) for x in f['labels']
    }
    same(ours('drivable', tmp_path / 'gt', out), want)  # the folder as it is
    assert {p.name for p in Path(out / 'masks').iterdir()} == {'0.png', '1.png', '2.png'}


def test_archives_hold_what_the_servers_take(tmp_path):
    for name in ('masks/b.png', 'masks/a.png', 'bitmasks/a.png'):
        write_png(tmp_path / name, np.zeros((*SIZE, 4)))

    def archive(task, name):
        return zipfile.ZipFile(write(task, Request([tmp_path], out=tmp_path / name)))

    assert archive('drivable', 'zips/drivable.zip').namelist() == ['a.png', 'b.png']
    with pytest.raises(FileNotFoundError, match='score.json: not there. Write predictions with mmroad test'):
        archive('ins_seg', 'ins.zip')
    (tmp_path / 'score.json').write_text('[]')
    made = archive('ins_seg', 'ins.zip')
    assert made.namelist() == ['score.json', 'bitmasks/a.png'] and made.testzip() is None
    with pytest.raises(ValueError, match='ends in .zip'):
        archive('sem_seg', 'a.tar')
