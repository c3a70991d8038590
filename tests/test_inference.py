import functools
import importlib.util
import json
import os
import signal
import warnings

import cv2
import numpy as np
import pytest
import torch

import mmroad
from mmroad.files.sources import LeftOut, open_source
from mmroad.inference.base import run_over
from mmroad.zoo.configs import configs_folder

SIZE = (96, 160, 3)


@pytest.fixture(scope='module')
def detect():
    torch.manual_seed(0)
    options = {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 7}
    return mmroad.inferencer('faster_rcnn_r18_fpn_quickstart', threshold=0.0, cfg_options=options)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('b.png', 'a.png'):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, SIZE, np.uint8))
    return tmp_path


def test_an_array_and_its_file_give_the_same(detect, folder):
    from_file = detect(folder / 'a.png')
    from_array = detect(cv2.imread(str(folder / 'a.png')), 'a.png')
    assert from_file.name == from_array.name == 'a.png'
    for key in ('boxes', 'scores', 'labels', 'picture'):
        assert np.array_equal(getattr(from_file, key), getattr(from_array, key))
    assert len(from_file.boxes) == 7 and (np.diff(from_file.scores) <= 0).all()
    assert (from_file.boxes >= 0).all() and (from_file.boxes <= [160, 96, 160, 96]).all()
    assert from_file.names == [detect.classes[c] for c in from_file.labels]
    assert from_file.picture.shape == SIZE


def test_boxes_below_the_threshold_are_not_drawn(detect, folder, monkeypatch):
    monkeypatch.setattr(detect, 'threshold', 1.1)
    result = detect(folder / 'a.png')
    assert len(result.boxes) == 7
    assert np.array_equal(result.picture, cv2.imread(str(folder / 'a.png')))


def test_a_folder_gives_pictures_and_predictions_in_order(detect, folder, tmp_path):
    out = tmp_path / 'out'
    results = list(detect.run(folder, out, progress=False))
    assert [r.name for r in results] == ['a.png', 'b.png']
    frames = json.loads((out / 'det.json').read_text())['frames']
    assert [f['name'] for f in frames] == ['a.png', 'b.png']
    for result, frame in zip(results, frames):
        assert [label['score'] for label in frame['labels']] == pytest.approx(
            result.scores.tolist(), abs=1e-6
        )
        first = frame['labels'][0]['box2d']
        x1, y1, x2, y2 = result.boxes[0]
        assert [first['x1'], first['x2'] + 1] == pytest.approx([x1, x2], abs=1e-3)
        assert np.array_equal(cv2.imread(str(out / 'pictures' / result.name)), result.picture)
    coco = json.loads((out / 'det.coco.json').read_text())
    assert [c['image_id'] for c in coco] == [coco[0]['image_id']] * 7 + [coco[0]['image_id'] + 1] * 7


def test_a_source_that_is_not_there_is_named(detect, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        list(detect.run(tmp_path / 'nowhere', progress=False))


def test_every_kind_of_model_has_its_inferencer(folder):
    segment = mmroad.inferencer('rankseg_small_road_scenes')
    assert segment(folder / 'a.png').classes.shape == SIZE[:2]
    with pytest.raises(ValueError, match='there is no threshold'):
        mmroad.inferencer('rankseg_small_road_scenes', threshold=0.5)
    with pytest.raises(ValueError, match='tools/infer_video.py'):
        mmroad.inferencer('rankseg_small_road_scenes_video')
    assert mmroad.inferencer('rba_small_1dl_road_scenes', threshold=-0.5)(folder / 'a.png').anomaly.max() <= 0


@pytest.mark.parametrize('ood', ['', '_ood'])  # tested on one data set, and on several
def test_scores_of_the_unknown_go_along(folder, tmp_path, ood):
    torch.manual_seed(0)
    options = {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 7}
    detect = mmroad.inferencer(f'abet_faster-rcnn_r18_fpn_road_scenes{ood}', cfg_options=options)
    result = next(detect.run(folder, tmp_path / 'out', progress=False))
    assert result.ood_scores.shape == (7,)
    list(detect.run(folder, tmp_path / 'out', progress=False))
    frame = json.loads((tmp_path / 'out/det.json').read_text())['frames'][0]
    assert [label['ood_score'] for label in frame['labels']] == pytest.approx(result.ood_scores.tolist())


def broken(folder):
    (folder / 'a0.jpg').write_text('<html>')
    (folder / '._a.png').write_bytes(b'no image, but hidden')
    (folder / 'c.png').write_bytes(b'')
    return ['a0.jpg', 'c.png']


def tool(name, monkeypatch, *args):
    spec = importlib.util.spec_from_file_location(name, configs_folder().parent / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr('sys.argv', [name, *map(str, args)])
    before = signal.getsignal(signal.SIGTERM)
    try:
        module.main()
    finally:
        signal.signal(signal.SIGTERM, before)


def written(out):
    return [frame['name'] for frame in json.loads((out / 'det.json').read_text())['frames']]


def test_an_image_that_cannot_be_used_is_left_out_and_told(detect, folder, tmp_path):
    bad = broken(folder)
    run = detect.run(folder, tmp_path / 'out', progress=False)
    with pytest.warns(LeftOut, match='c.png is left out: .*empty'):
        assert [result.name for result in run] == ['a.png', 'b.png']
    assert sorted(run.left_out) == bad and written(tmp_path / 'out') == ['a.png', 'b.png']
    assert not list((tmp_path / 'out').rglob('.part*'))


def test_the_tool_lists_what_was_left_out_and_exits_1(detect, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('mmroad.inference.build.inferencer', lambda *args: detect)
    tool('infer_image', monkeypatch, 'x', 'none', folder, '--out-dir', tmp_path / 'out')
    assert '2 images written' in capsys.readouterr().out
    broken(folder)
    with pytest.raises(SystemExit) as exit, warnings.catch_warnings():
        warnings.simplefilter('error', LeftOut)  # not told twice
        tool('infer_image', monkeypatch, 'x', 'none', folder, '--out-dir', tmp_path / 'out')
    assert '2 images written' in capsys.readouterr().out
    text = str(exit.value.code)
    assert (
        text.startswith('left out (2):')
        and 'a0.jpg: not an image' in text
        and 'c.png: the file is empty' in text
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_break_and_ctrl_c_keep_what_was_found(detect, folder, tmp_path, monkeypatch, number, request):
    for n in (signal.SIGINT, signal.SIGTERM):  # a process in the background ignores Ctrl-C
        request.addfinalizer(functools.partial(signal.signal, n, signal.getsignal(n)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for result in detect.run(folder, tmp_path / 'out', progress=False):
        assert result.name == 'a.png'
        break
    assert written(tmp_path / 'out') == ['a.png']

    predict = detect.predict

    def interrupted(image, name):
        if name == 'b.png':
            os.kill(os.getpid(), number)
        return predict(image, name)

    monkeypatch.setattr(detect, 'predict', interrupted)
    monkeypatch.setattr('mmroad.inference.build.inferencer', lambda *args: detect)
    with pytest.raises(SystemExit, match='interrupted: the 1 images so far are in'):
        tool('infer_image', monkeypatch, 'x', 'none', folder, '--out-dir', tmp_path / 'second')
    for out in ('out', 'second'):
        assert written(tmp_path / out) == ['a.png'] and (tmp_path / out / 'det.coco.json').exists()
        assert not list((tmp_path / out).rglob('.*'))


def test_errors_of_one_image_are_its_own_and_others_end_the_run(folder):
    ends = []

    def over(error):
        def infer(image, name):
            if name == 'a.png':
                raise error
            return name

        return run_over(open_source(folder), infer, finish=lambda: ends.append(1), progress=False)

    for error in (RuntimeError('too small'), MemoryError(), cv2.error('assertion')):
        run = over(error)
        with pytest.warns(LeftOut, match='a.png is left out: .'):
            assert list(run) == ['b.png'] and list(run.left_out) == ['a.png']
    for error in (ValueError('no anomaly score'), KeyError('score'), OSError('disk')):
        with pytest.raises(type(error)):
            list(over(error))
    assert len(ends) == 6


def test_an_image_that_cannot_be_prepared_is_left_out(detect, folder, monkeypatch):
    pipeline = detect.pipeline

    def refuse(data):
        if data['file_name'] == 'a.png':
            raise cv2.error('ssize.width > 0')
        return pipeline(data)

    monkeypatch.setattr(detect, 'pipeline', refuse)
    run = detect.run(folder, progress=False)
    with pytest.warns(LeftOut):
        assert [result.name for result in run] == ['b.png']
    assert run.left_out['a.png'].startswith('a.png (96, 160, 3) cannot be prepared for the model')


def test_names_lie_below_the_common_folder(detect, tmp_path):
    for name in ('x/1.png', 'y/1.png', 'y/2.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros(SIZE, np.uint8))
    list(detect.run(tmp_path / '*/*.png', tmp_path / 'out', progress=False))
    assert written(tmp_path / 'out') == ['x/1.png', 'y/1.png', 'y/2.png']
    assert len(list((tmp_path / 'out/pictures').rglob('*.png'))) == 3


def test_a_second_run_does_not_take_its_own_pictures(detect, folder):
    for _ in range(3):
        assert len(list(detect.run(folder, folder / 'out', progress=False))) == 2
        assert len(list(detect.run(folder, folder, progress=False))) == 2
        run = detect.run(folder / '*', folder, progress=False)
        assert len(list(run)) == 2 and not run.left_out
    before = (folder / 'a.png').read_bytes()
    with pytest.raises(ValueError, match='sources lie in'):
        detect.run(folder / 'pictures', folder)
    assert (folder / 'a.png').read_bytes() == before


@pytest.mark.parametrize('size', [(1, 5000), (5000, 1), (1, 1)])
def test_thin_images_have_detections(detect, tmp_path, size):
    cv2.imwrite(str(tmp_path / 'thin.png'), np.zeros((*size, 3), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter('error', LeftOut)
        (result,) = detect.run(tmp_path, tmp_path / 'out', progress=False)
    assert result.picture.shape == (*size, 3)


def test_images_as_callers_have_them(detect, folder):
    from PIL import Image

    image = cv2.imread(str(folder / 'a.png'))
    grey = image[..., 0]
    want = detect(image)
    for same in (Image.open(folder / 'a.png'), image.copy(order='F'), str(folder / 'a.png')):
        assert np.array_equal(detect(same).boxes, want.boxes)
    three = detect(cv2.merge([grey] * 3)).boxes
    for one in (grey, grey[..., None], Image.fromarray(grey)):
        assert np.array_equal(detect(one).boxes, three)
    for wrong in (
        image / 255,
        image.astype(np.uint16),
        image.transpose(2, 0, 1),
        np.dstack([image, grey]),
        [image],
    ):
        with pytest.raises(ValueError, match='shot: '):
            detect(wrong, 'shot')
    assert detect(folder / 'a.png', 'named').name == 'named'


def test_boxes_that_are_no_numbers_leave_their_image_out(detect, folder, monkeypatch, recwarn):
    step = detect.model.test_step

    def broken(batch):
        (sample,) = step(batch)
        if sample.metainfo['file_name'] == 'a.png':
            sample.pred_instances.bboxes[2, 1] = float('nan')
        return [sample]

    keys = [key for t in detect.pipeline.transforms for key in getattr(t, 'meta_keys', ())]
    monkeypatch.setattr(detect.pipeline.transforms[-1], 'meta_keys', (*keys, 'file_name'))
    monkeypatch.setattr(detect.model, 'test_step', broken)
    out = folder / 'out'
    run = detect.run(folder, out, progress=False)
    assert [result.name for result in run] == ['b.png']
    assert '1 of 7 detections have a NaN or infinite box' in run.left_out['a.png']
    assert [f['name'] for f in json.loads((out / 'det.json').read_text())['frames']] == ['b.png']
