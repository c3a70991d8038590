import json

import cv2
import numpy as np
import pytest
import torch

import mmroad

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
