"""Images in the network together, read and written beside it: the same results in the same order."""

import threading
import time

import cv2
import numpy as np
import pytest
import torch

import mmroad
from mmroad.commands import main
from mmroad.files.sources import LeftOut
from mmroad.inference.overlap import default_workers, in_order
from mmroad.runtime.speed.batches import same_shapes, split_by_size


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Seven photographs of two sizes, in turn."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp('images')
    for i in range(7):
        small = rng.integers(0, 255, (8, 12, 3) if i % 3 else (12, 8, 3), np.uint8)
        cv2.imwrite(str(path / f'{i}.png'), small.repeat(16, 0).repeat(16, 1))
    return path


@pytest.fixture(scope='module')
def detect():
    torch.manual_seed(0)
    options = {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 7}
    return mmroad.inferencer('faster_rcnn_r18_fpn_quickstart', threshold=0.0, cfg_options=options)


@pytest.fixture(scope='module')
def alone(detect, folder):
    return list(detect.run(folder, progress=False, workers=1))


@pytest.fixture
def batches(monkeypatch):
    """Sizes of the batches that a model gets."""

    def watch(inferencer):
        sizes, forward = [], inferencer.forward

        def run(images):
            sizes.append(len(images))
            assert len({image['inputs'].shape for image in images}) == 1
            return forward(images)

        monkeypatch.setattr(inferencer, 'forward', run)
        return sizes

    return watch


@pytest.mark.parametrize('workers, size', [(2, 1), (1, 2), (3, 4)])
def test_detections_are_those_of_single_images(detect, folder, alone, batches, workers, size):
    sizes, threads = batches(detect), torch.get_num_threads()
    found = list(detect.run(folder, progress=False, batch_size=size, workers=workers))
    assert torch.get_num_threads() == threads
    assert sum(sizes) == 7 and max(sizes) == size
    assert [r.name for r in found] == [r.name for r in alone] == [f'{i}.png' for i in range(7)]
    for got, want in zip(found, alone):
        np.testing.assert_allclose(got.scores, want.scores, atol=1e-5)
        assert got.picture.shape == want.picture.shape
        distance = np.abs(got.boxes[:, None] - want.boxes).max(2).min(1)  # equal scores may change places
        assert distance.max() < 1e-2


def test_files_are_those_of_single_images(detect, folder, tmp_path):
    for name, options in (('one', dict(workers=1)), ('many', dict(workers=2, batch_size=2))):
        list(detect.run(folder, tmp_path / name, progress=False, **options))
    one, many = (
        sorted(p.relative_to(tmp_path / name).as_posix() for p in (tmp_path / name).rglob('*'))
        for name in ('one', 'many')
    )
    assert one == many and 'pictures/6.png' in one and 'det.json' in one


@pytest.mark.parametrize('name', ['rba_small_1dl_road_scenes', 'deepv3plus_r18_road_scenes'])
def test_segmentation_groups_by_size(name, folder, batches):
    """Models that take images of one size alone."""
    torch.manual_seed(0)
    segment = mmroad.inferencer(name)
    alone = list(segment.run(folder, progress=False, workers=1))
    sizes = batches(segment)
    found = list(segment.run(folder, progress=False, batch_size=3, workers=2))
    assert sum(sizes) == 7 and max(sizes) == 3
    for got, want in zip(found, alone, strict=True):
        assert got.name == want.name and (got.classes == want.classes).mean() > 0.999
        if hasattr(got, 'anomaly'):
            np.testing.assert_allclose(got.anomaly, want.anomaly, atol=1e-4)


def test_one_bad_image_of_a_batch_is_left_out(detect, folder, monkeypatch):
    prepare, forward = detect.prepare, detect.forward

    def mark(image, name):
        return dict(prepare(image, name), name=name)

    def refuse(images):
        if any(image['name'] == '4.png' for image in images):
            raise RuntimeError('too small')
        return forward(images)

    monkeypatch.setattr(detect, 'prepare', mark)
    monkeypatch.setattr(detect, 'forward', refuse)
    run = detect.run(folder, progress=False, batch_size=4, workers=2)
    with pytest.warns(LeftOut, match='4.png is left out: too small'):
        assert [r.name for r in run] == [f'{i}.png' for i in (0, 1, 2, 3, 5, 6)]
    assert list(run.left_out) == ['4.png']


def test_an_error_that_is_no_image_s_ends_the_run(detect, folder, monkeypatch):
    def broken(images):
        raise KeyError('score')

    monkeypatch.setattr(detect, 'forward', broken)
    with pytest.raises(KeyError):
        list(detect.run(folder, progress=False, batch_size=2, workers=2))


@pytest.mark.parametrize('workers', [1, 2, 4])
def test_order_and_how_far_is_read_ahead(workers):
    drawn, active, most = [], 0, 0
    lock = threading.Lock()

    def items():
        for i in range(20):
            drawn.append(i)
            yield i

    def work(group):
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.003 * (group[0] % 3))
        with lock:
            active -= 1
        return [(i, threading.current_thread().name) for i in group]

    results, ahead = [], []
    for i, thread in in_order(items(), work, 2, workers, share=True):
        results.append(i)
        ahead.append(len(drawn) - len(results))
        assert thread.startswith('mmroad-infer') is (workers > 1)
    assert results == list(range(20)) and most <= workers
    assert max(ahead) <= 2 * (workers + 1) + 1


def test_leaving_early_waits_and_draws_no_more():
    drawn, done = [], []

    def items():
        for i in range(100):
            drawn.append(i)
            yield i

    run = in_order(items(), lambda group: (time.sleep(0.01), done.extend(group), group)[2], 1, 2, True)
    assert next(run) == 0
    run.close()
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count and len(drawn) <= 4
    assert not [t for t in threading.enumerate() if t.name.startswith('mmroad-infer')]


def test_groups_of_one_size():
    values = ['a', 'b', 'a', 'a', 'c', 'b']
    assert list(same_shapes(values, str, 2)) == [[0, 2], [3], [1, 5], [4]]


def test_a_test_step_of_several_sizes():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.batches = []

        def test_step(self, data):
            self.batches.append(torch.stack(data['inputs']).shape[0])
            return [
                (float(image.sum()), sample) for image, sample in zip(data['inputs'], data['data_samples'])
            ]

    model = Model()
    split_by_size(model)
    images = [torch.full((3, h, 4), float(h)) for h in (4, 5, 4, 4)]
    got = model.test_step(dict(inputs=images, data_samples=list('abcd')))
    assert got == [(float(image.sum()), name) for image, name in zip(images, 'abcd')]
    assert model.batches == [3, 1]


def test_how_many_workers(monkeypatch):
    model = torch.nn.Linear(1, 1)
    for threads, want in ((1, 1), (2, 2), (64, 4)):
        monkeypatch.setattr(torch, 'get_num_threads', lambda threads=threads: threads)
        assert default_workers(model, parallel=True) == want
    assert default_workers(model, parallel=False) <= 2


def test_numbers_that_are_none(detect, folder):
    for options in (dict(batch_size=0), dict(workers=0)):
        with pytest.raises(ValueError, match='both are at least 1'):
            detect.run(folder, progress=False, **options)


def test_the_command(folder, tmp_path, capsys):
    common = ['none', str(folder), '--out', str(tmp_path / 'out'), '--batch-size', '2', '--workers', '2']
    with pytest.warns(UserWarning):
        main(['infer', 'faster_rcnn_r18_fpn_quickstart', *common, '--device', 'cpu'])
    assert '7 images written' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='is a video model: --clip-length'), pytest.warns(UserWarning):
        main(['infer', 'rankseg_small_road_scenes_video', *common, '--device', 'cpu'])
