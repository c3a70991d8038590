import functools
import json
import os
import signal
import warnings

import cv2
import numpy as np
import pytest
import torch

import mmroad
from mmroad.commands import main
from mmroad.files.sources import LeftOut, open_source
from mmroad.inference.base import run_over
from mmroad.inference.detection import DetInferencer, Predictions

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
    assert (
        from_file.picture.shape == SIZE
        and len(from_file) == 7
        and repr(from_file).startswith('Detections(a.png: ')
    )


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
    with pytest.raises(ValueError, match='segmentation models have no option threshold'):
        mmroad.inferencer('rankseg_small_road_scenes', threshold=0.5)
    with pytest.raises(ValueError, match='this is a model of videos'):
        mmroad.inferencer('rankseg_small_road_scenes_video')(folder / 'a.png')
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


def infer(detect, monkeypatch, source, out):
    """``mmroad infer`` with a model that is there."""

    class Ready(DetInferencer):
        def __new__(cls, *args, **kwargs):
            return detect

    monkeypatch.setattr('mmroad.inference.build.inferencer_class', lambda cfg: Ready)
    before = signal.getsignal(signal.SIGTERM)
    try:
        main(['infer', 'faster_rcnn_r18_fpn_quickstart', 'none', str(source), '--out', str(out)])
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
    infer(detect, monkeypatch, folder, tmp_path / 'out')
    assert '2 images written' in capsys.readouterr().out
    broken(folder)
    with pytest.raises(SystemExit) as exit, warnings.catch_warnings():
        warnings.simplefilter('error', LeftOut)  # not told twice
        infer(detect, monkeypatch, folder, tmp_path / 'out')
    said = capsys.readouterr()
    text = said.err
    assert exit.value.code == 1 and '2 images written' in said.out
    assert (
        text.startswith('left out (2):')
        and 'a0.jpg: not an image' in text
        and 'c.png: the file is empty' in text
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_break_and_ctrl_c_keep_what_was_found(detect, folder, tmp_path, monkeypatch, number, request, capsys):
    for n in (signal.SIGINT, signal.SIGTERM):  # a process in the background ignores Ctrl-C
        request.addfinalizer(functools.partial(signal.signal, n, signal.getsignal(n)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for result in detect.run(folder, tmp_path / 'out', progress=False):
        assert result.name == 'a.png'
        break
    assert written(tmp_path / 'out') == ['a.png']

    add = Predictions.add

    def interrupted(self, result, item):
        if result.name == 'b.png':
            os.kill(os.getpid(), number)
        add(self, result, item)

    monkeypatch.setattr(Predictions, 'add', interrupted)
    with pytest.raises(SystemExit) as exit:
        infer(detect, monkeypatch, folder, tmp_path / 'second')
    assert exit.value.code == 130 and 'interrupted: the 1 images so far are in' in capsys.readouterr().err
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
    gray = image[..., 0]
    want = detect(image)
    for same in (Image.open(folder / 'a.png'), image.copy(order='F'), str(folder / 'a.png')):
        assert np.array_equal(detect(same).boxes, want.boxes)
    three = detect(cv2.merge([gray] * 3)).boxes
    for one in (gray, gray[..., None], Image.fromarray(gray)):
        assert np.array_equal(detect(one).boxes, three)
    for wrong in (
        image / 255,
        image.astype(np.uint16),
        image.transpose(2, 0, 1),
        np.dstack([image, gray]),
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


def test_results_have_the_conversions_of_all_tools(detect, folder):
    first, second = detect([folder / 'a.png', folder / 'b.png'])
    assert (first.name, second.name) == ('a.png', 'b.png') and not np.array_equal(first.boxes, second.boxes)
    (x1, y1, x2, y2), score = first.boxes[0].tolist(), float(first.scores[0])
    record = first.to_coco(image_id=9)[0]
    assert record == dict(
        image_id=9, category_id=int(first.labels[0]) + 1, bbox=[x1, y1, x2 - x1, y2 - y1], score=score
    )
    frame = first.to_scalabel()
    assert frame['name'] == 'a.png' and len(frame['labels']) == 7
    assert frame['labels'][0]['box2d'] == dict(x1=x1, y1=y1, x2=x2 - 1, y2=y2 - 1)
    assert frame['labels'][0]['category'] == first.names[0]
    table = pytest.importorskip('pandas') and first.to_pandas()
    assert list(table.columns) == ['image', 'category', 'label', 'score', 'x1', 'y1', 'x2', 'y2']
    assert table.x2.tolist() == first.boxes[:, 2].tolist()


def test_one_result_is_saved(detect, folder, tmp_path):
    result = detect(folder / 'a.png')
    assert result.save(tmp_path / 'one') == [tmp_path / 'one/pictures/a.png']
    assert np.array_equal(cv2.imread(str(tmp_path / 'one/pictures/a.png')), result.picture)


def test_a_list_of_files_is_a_source(detect, folder, tmp_path):
    (tmp_path / 'more').mkdir()
    (folder / 'b.png').rename(tmp_path / 'more/b.png')
    run = detect.run([tmp_path / 'more/b.png', folder / 'a.png'], tmp_path / 'out', progress=False)
    assert [result.name for result in run] == ['more/b.png', 'a.png']
    with pytest.raises(FileNotFoundError, match='nowhere.png'):
        detect.run([folder / 'a.png', folder / 'nowhere.png'])


def test_a_video_gives_a_video(detect, tmp_path):
    video = cv2.VideoWriter(str(tmp_path / 'in.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (160, 96))
    for level in (0, 120):
        video.write(np.full(SIZE, level, np.uint8))
    video.release()
    list(detect.run(tmp_path / 'in.avi', tmp_path / 'out', progress=False))
    assert cv2.VideoCapture(str(tmp_path / 'out/in.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 2
    assert written(tmp_path / 'out') == ['in_000000.jpg', 'in_000001.jpg']


def test_options_of_another_kind_are_refused(folder, capsys):
    with pytest.raises(SystemExit, match='is a detection model, which has no --fps, --score'):
        main(['infer', 'faster_rcnn_r18_fpn_quickstart', 'none', str(folder), '--out', str(folder / 'o'),
              '--score', 'msp', '--fps', '5'])  # fmt: skip


def test_a_model_without_weights_says_so():
    with pytest.warns(UserWarning, match='faster_rcnn_r18_fpn_quickstart has random weights'):
        mmroad.init_model('faster_rcnn_r18_fpn_quickstart')
