"""The metric with one, two and three real processes; the tool on saved maps."""

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmroad.anomaly import register  # noqa: F401
from mmroad.anomaly.io import load_map
from mmroad.anomaly.metric import AnomalyMetric
from mmroad.anomaly.pixel import PixelMetrics

SIZE = 7


def sample(i):
    rng = np.random.default_rng(i)
    labels = rng.choice([0, 1, 255], (6, 9), p=[0.7, 0.2, 0.1]).astype(np.uint8)
    scores = (rng.normal(size=labels.shape) + (labels == 1)).astype(np.float32)
    return dict(
        img_path=f'/data/{i}.jpg',
        anomaly_map=dict(data=torch.from_numpy(scores)[None]),
        gt_sem_seg=dict(data=torch.from_numpy(labels)[None]),
    )


def work(rank, world, folder):
    if world > 1:
        torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=world)
    metric = AnomalyMetric(format_dir=f'{folder}/maps')
    padded = [i % SIZE for i in range(math.ceil(SIZE / world) * world)]  # as mmengine's sampler pads
    for i in padded[rank::world]:
        metric.process({}, [sample(i)])
    (Path(folder) / f'{rank}.json').write_text(json.dumps(metric.evaluate(SIZE)))


@pytest.mark.parametrize('world', [1, 3])
def test_any_number_of_processes_gives_the_same_numbers(world, tmp_path):
    commands = [[sys.executable, __file__, str(rank), str(world), str(tmp_path)] for rank in range(world)]
    running = [subprocess.Popen(command) for command in commands]
    assert [process.wait() for process in running] == [0] * world
    whole = PixelMetrics()
    for i in range(SIZE):
        s = sample(i)
        whole.add(s['anomaly_map']['data'][0].numpy(), s['gt_sem_seg']['data'][0].numpy())
    want = whole.compute()
    for rank in range(world):
        got = json.loads((tmp_path / f'{rank}.json').read_text())
        assert got['anomaly/AP'] == 100 * want.ap and got['anomaly/AUROC'] == 100 * want.auroc
        assert got['anomaly/FPR95'] == 100 * want.fpr95.fpr
    assert len(list((tmp_path / 'maps').glob('*.npz'))) == SIZE


def test_maps_are_refined_before_they_are_scored_and_written(tmp_path):
    frames, whole = [], PixelMetrics()
    for i in range(2):
        box = dict(x1=1, y1=2, x2=4, y2=5)  # with x2 and y2
        label = dict(id='0', category='dog', score=0.9, box2d=box)
        frames.append(dict(name=f'{i}.jpg', labels=[label]))
        raised = sample(i)['anomaly_map']['data'][0].numpy()
        raised[2:6, 1:5] += 100
        whole.add(raised, sample(i)['gt_sem_seg']['data'][0].numpy())
    (tmp_path / 'det.json').write_text(json.dumps(frames))
    refine = dict(type='BoxRefinement', boxes=str(tmp_path / 'det.json'), boost=100)
    metric = AnomalyMetric(refine=refine, format_dir=str(tmp_path / 'maps'))
    metric.process({}, [sample(0), sample(1)])
    found = metric.evaluate(2)
    assert found['anomaly/AP'] == pytest.approx(100 * whole.compute().ap)
    assert load_map(tmp_path / 'maps/1.npz').max() > 90


def test_the_tool_scores_saved_maps_and_names_what_is_missing(tmp_path):
    (tmp_path / 'set/images').mkdir(parents=True)
    (tmp_path / 'set/masks').mkdir()
    metric = AnomalyMetric(format_only=True, format_dir=str(tmp_path / 'maps'))
    for i in range(3):
        s = sample(i)
        metric.process({}, [s])
        cv2.imwrite(str(tmp_path / f'set/images/{i}.jpg'), np.zeros((6, 9, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'set/masks/{i}.png'), s['gt_sem_seg']['data'][0].numpy())
    assert metric.evaluate(3) == {}
    command = [
        sys.executable,
        '-m',
        'mmroad',
        'eval-anomaly',
        str(tmp_path / 'maps'),
        'masks',
        str(tmp_path / 'set'),
    ]
    subprocess.run([*command, '--out-file', str(tmp_path / 'scores.json')], check=True, capture_output=True)
    assert set(json.loads((tmp_path / 'scores.json').read_text())) >= {'AP', 'AUROC', 'FPR95'}
    (tmp_path / 'maps/1.npz').unlink()
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 1 and 'maps/1: no anomaly map' in failed.stderr


@pytest.mark.parametrize('kind', ['npz', 'png'])
def test_maps_are_written_without_masks_and_never_under_one_name(kind, tmp_path):
    metric = AnomalyMetric(format_only=True, format_dir=str(tmp_path / 'maps'), format_kind=kind)
    first = sample(0)
    del first['gt_sem_seg']
    metric.process(
        {}, [dict(first, img_path='/data/a/drive.0001.jpg'), dict(first, img_path='/data/a/2.jpg')]
    )
    metric.process({}, [dict(first, img_path='/data/a/2.jpg')])  # repeated by the sampler
    with pytest.raises(
        ValueError, match=r'/data/a/2\.jpg and /data/b/2\.jpg would both be written to .*maps/2\.'
    ):
        metric.process({}, [dict(first, img_path='/data/b/2.jpg')])
    assert sorted(path.name for path in (tmp_path / 'maps').iterdir()) == [f'2.{kind}', f'drive.0001.{kind}']
    assert metric.evaluate(2) == {}


@pytest.mark.parametrize(('world', 'rank', 'size', 'counted'), [
    (1, 0, 3, 3), (2, 0, 3, 2), (2, 1, 3, 1), (3, 2, 7, 2), (3, 0, 7, 3), (4, 3, 3, 0)
])  # fmt: skip
def test_what_the_sampler_repeats_counts_once(monkeypatch, world, rank, size, counted):
    """Each rank has as many images as the first; who has one too many leaves its last out."""
    monkeypatch.setattr('mmroad.anomaly.metric.get_rank', lambda: rank)
    monkeypatch.setattr('mmroad.anomaly.metric.get_world_size', lambda: world)
    metric = AnomalyMetric()
    for _ in range(2):  # a second run begins anew
        for i in range(math.ceil(size / world)):
            metric.process({}, [sample(i)])
        parts = []
        monkeypatch.setattr(
            'mmroad.anomaly.metric.all_gather_object', lambda own, parts=parts: parts.append(own) or [own]
        )
        metric.evaluate(size)
        pixels = parts[1].inliers + parts[1].outliers + parts[1].ignored
        assert pixels == counted * 54


@pytest.mark.parametrize(('order', 'size'), [((0, 1, 'bad'), 3), (('bad', 0, 1), 3), ((0, 1, 'bad'), 5)])
def test_what_could_not_be_read_is_neither_scored_nor_written(monkeypatch, tmp_path, order, size):
    """Also where it is what a sampler of two ranks repeats: 3 of 5 images here."""
    monkeypatch.setattr('mmroad.anomaly.metric.get_rank', lambda: 1 if size == 5 else 0)
    monkeypatch.setattr('mmroad.anomaly.metric.get_world_size', lambda: 2 if size == 5 else 1)
    metric, whole = AnomalyMetric(format_dir=str(tmp_path)), PixelMetrics()
    for i in order:
        bad = dict(img_path='/data/bad.jpg', left_out='/data/bad.jpg: the file is empty')
        metric.process({}, [bad if i == 'bad' else sample(i)])
        if i != 'bad':
            whole.add(sample(i)['anomaly_map']['data'][0].numpy(), sample(i)['gt_sem_seg']['data'][0].numpy())
    assert metric.evaluate(size)['anomaly/AP'] == 100 * whole.compute().ap
    assert list(metric.left_out) == ['/data/bad.jpg']
    assert {path.name for path in tmp_path.iterdir()} == {'0.npz', '1.npz'}


def test_equal_names_on_two_ranks_are_told(monkeypatch, tmp_path):
    metric = AnomalyMetric(format_only=True, format_dir=str(tmp_path))
    metric.process({}, [dict(sample(0), img_path='/a/0.jpg')])
    others = [{'0.npz': '/a/0.jpg'}, {'0.npz': '/b/0.jpg'}]
    monkeypatch.setattr('mmroad.anomaly.metric.all_gather_object', lambda own: others)
    with pytest.raises(ValueError, match=r'/a/0\.jpg and /b/0\.jpg were both written to .*/0\.npz'):
        metric.evaluate(1)


def test_what_cannot_be_scored_or_written_is_told_at_once(tmp_path):
    without = sample(0)
    del without['gt_sem_seg']
    with pytest.raises(
        ValueError, match=r'/data/0\.jpg: no mask, so nothing can be scored; .* --format-only'
    ):
        AnomalyMetric().process({}, [without])
    del without['anomaly_map']
    with pytest.raises(ValueError, match=r'/data/0\.jpg: the model computes no anomaly map'):
        AnomalyMetric().process({}, [without])
    with pytest.raises(ValueError, match='no kind of anomaly map'):
        AnomalyMetric(format_dir=str(tmp_path), format_kind='tif')
    with pytest.raises(ValueError, match='needs a folder'):
        AnomalyMetric(format_only=True)


if __name__ == '__main__':
    work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
