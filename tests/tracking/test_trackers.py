"""Trackers on boxes that are known: what they keep, lose and vote."""

import random

import cv2
import numpy as np
import pytest

from mmroad.bdd100k.eval.track import evaluate_track
from mmroad.bdd100k.track_columns import read_track_columns
from mmroad.bdd100k.track_format import TrackPrediction, to_track_columns
from mmroad.files.boxes import iou
from mmroad.road_scenes.tracks import write_tracks
from mmroad.tracking import kalman
from mmroad.tracking.base import Tracker, assign
from mmroad.tracking.byte import ByteTracker
from mmroad.tracking.camera import CameraMotion
from mmroad.tracking.ocsort import OCSort

TRACKERS = [ByteTracker, OCSort]
CAR, TRUCK, PEDESTRIAN = 2, 3, 0
LIKE = {2: 3, 3: 2, 1: 0, 0: 1, 6: 7, 7: 6}


def box(x, y=0, w=40, h=40):
    return [x, y, x + w, y + h]


def follow(tracker, frames, fps=5):
    """Ids and labels of each frame's boxes: ``frames`` hold (x, label, score) of boxes in a row."""
    out = []
    for t, found in enumerate(frames):
        boxes = np.array([box(x) for x, _, _ in found], float).reshape(-1, 4)
        labels, scores = [c for _, c, _ in found], [s for _, _, s in found]
        tracked = tracker.update(boxes, np.array(scores), np.array(labels, int), t / fps)
        assert len({*tracked.ids.tolist()}) == len(tracked.ids)
        out.append(list(zip(tracked.ids.tolist(), tracked.labels.tolist())))
    return out


@pytest.mark.parametrize('kind', TRACKERS)
def test_two_objects_keep_their_ids(kind):
    frames = [[(5 * t, CAR, 0.9), (300 - 4 * t, CAR, 0.8)] for t in range(8)]
    assert follow(kind(), frames) == [[(1, CAR), (2, CAR)]] * 8


@pytest.mark.parametrize('kind', TRACKERS)
def test_an_object_that_comes_back_in_time_keeps_its_id(kind):
    moving = [[(6 * t, CAR, 0.9)] for t in range(8)]
    for gap, want in ((3, 1), (7, 2)):  # memory is one second: five frames
        frames = moving + [[]] * gap + [[(6 * (7 + gap + k), CAR, 0.9)] for k in (1, 2)]
        assert follow(kind(), frames)[-1] == [(want, CAR)]


@pytest.mark.parametrize('kind', TRACKERS)
def test_memory_is_in_seconds(kind):
    frames = [[(0, CAR, 0.9)]] * 8 + [[]] * 3 + [[(0, CAR, 0.9)]] * 2
    assert follow(kind(), frames, fps=5)[-1] == [(1, CAR)]
    assert follow(kind(), frames, fps=2)[-1] == [(2, CAR)]


def test_unsure_detections_only_go_on_with_tracks():
    frames = [[(0, CAR, 0.9)], [(2, CAR, 0.3), (300, CAR, 0.3)], [(4, CAR, 0.3), (300, CAR, 0.3)]]
    assert follow(ByteTracker(), frames) == [[(1, CAR)]] * 3


@pytest.mark.parametrize('kind', TRACKERS)
def test_one_box_alone_is_no_track(kind):
    frames = [[(0, CAR, 0.9)], [(0, CAR, 0.9), (300, CAR, 0.9)], [(0, CAR, 0.9)], [(0, CAR, 0.9)]]
    assert follow(kind(), frames) == [[(1, CAR)]] * 4


@pytest.mark.parametrize('kind', TRACKERS)
def test_classes(kind):
    """A car that one frame of five calls a truck."""
    labels = [CAR, CAR, TRUCK, CAR, CAR]
    frames = [[(3 * t, label, 0.9)] for t, label in enumerate(labels)]
    assert follow(kind(classes='own'), frames) == [[(1, CAR)], [(1, CAR)], [], [(1, CAR)], [(1, CAR)]]
    assert follow(kind(classes='any'), frames) == [[(1, label)] for label in labels]
    assert follow(kind(classes='vote'), frames) == [[(1, CAR)]] * 5


def test_a_rider_does_not_become_the_bicycle():
    """Boxes of two classes that overlap by less stay two tracks."""
    tracker = ByteTracker(classes='vote')
    for t in range(6):
        boxes = np.array([box(5 * t, 0, 40, 60), box(5 * t, 30, 50, 45)], float)
        found = tracker.update(boxes, np.array([0.9, 0.8]), np.array([1, 7]), t / 5)
        assert list(zip(found.ids.tolist(), found.labels.tolist())) == [(1, 1), (2, 7)]


def test_one_object_under_two_classes_is_one_track():
    tracker = ByteTracker(classes='vote')
    boxes = np.array([box(0), box(1)], float)
    assert len(tracker.update(boxes, np.array([0.9, 0.8]), np.array([CAR, TRUCK]), 0).ids) == 1


@pytest.mark.parametrize('kind', TRACKERS)
def test_empty_frames_and_another_video(kind):
    tracker = kind()
    assert follow(tracker, [[], [(0, CAR, 0.9)], [(0, CAR, 0.9)]]) == [[], [], [(1, CAR)]]
    with pytest.raises(ValueError, match='times must rise'):
        follow(tracker, [[]])
    tracker.reset()
    assert follow(tracker, [[(0, CAR, 0.9)]]) == [[(1, CAR)]]


@pytest.mark.parametrize('options', [dict(classes='mine'), dict(memory=0)])
def test_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Tracker(**options)


def test_the_filter_learns_even_motion():
    mean, covariance = kalman.begin(np.array([box(0)], float))
    for t in range(1, 30):
        mean, covariance = kalman.predict(mean, covariance, 0.2)
        mean, covariance = kalman.update(mean, covariance, np.array([box(4 * t)], float))
    later, _ = kalman.predict(mean, covariance, 1.0)
    assert kalman.to_boxes(later[..., 0])[0] == pytest.approx(box(4 * 34), abs=2)
    whole, _ = kalman.predict(mean, covariance, 0.4)
    half = kalman.predict(*kalman.predict(mean, covariance, 0.2), 0.2)[0]
    assert whole == pytest.approx(half)  # times add up


def test_boxes_and_states_are_inverse():
    boxes = np.array([box(3, 4, 50, 20), box(100, 0, 7, 90)], float)
    assert kalman.to_boxes(kalman.to_state(boxes)) == pytest.approx(boxes)
    assert iou(boxes, boxes) == pytest.approx(np.eye(2))


def test_assignment_takes_the_largest_total():
    value = np.array([[0.9, 0.8], [0.85, 0.1]])
    assert assign(value, 0.5) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.4]]), 0.5) == [] and assign(np.zeros((0, 3)), 0.5) == []


def test_the_camera_is_found_and_allowed_for():
    rng = np.random.default_rng(0)
    world = cv2.resize(rng.integers(0, 255, (20, 60, 3), np.uint8), (960, 320), interpolation=cv2.INTER_CUBIC)
    camera, tracker, plain = CameraMotion(), ByteTracker(), ByteTracker()
    ids, lost = [], []
    for t in range(5):
        view = np.ascontiguousarray(world[:, 24 * t : 24 * t + 320])
        boxes = np.array([box(280 - 24 * t, 100, 20, 20)], float)
        motion = camera.update(view, boxes)
        assert t == 0 or motion == pytest.approx(np.array([[1, 0, -24], [0, 1, 0]]), abs=0.5)
        ids += tracker.update(boxes, np.array([0.9]), np.array([CAR]), t / 5, motion).ids.tolist()
        lost += plain.update(boxes, np.array([0.9]), np.array([CAR]), t / 5).ids.tolist()
    assert ids == [1] * 5 and lost != ids
    assert camera.update(np.zeros((50, 60, 3), np.uint8), boxes) is None  # another size
    assert camera.update(np.zeros((50, 60, 3), np.uint8), boxes) is None  # nothing to hold on to


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    """The labels of three drives with a camera that stands."""
    root = tmp_path_factory.mktemp('truth')
    write_tracks(root, 3, 5, 30, (160, 96), 1, 0, lambda path, image: None, lambda: None)
    folder = root / 'all'
    folder.mkdir()
    for path in (root / 'labels/box_track_20').glob('*/*.json'):
        path.rename(folder / path.name)
    return read_track_columns(folder)


def tracked(truth, tracker, noise=0.0):
    """The scores of a tracker on the true boxes, of which some have the label of a like class."""
    first, rng, out = np.searchsorted(truth.frame, np.arange(len(truth.names) + 1)), random.Random(0), []
    for video, rows in truth.by_video().items():
        tracker.reset()
        for row in rows.tolist():
            part = slice(first[row], first[row + 1])
            boxes = truth.xyxy[part] + np.array([0, 0, 1, 1])
            labels = [LIKE.get(c, c) if rng.random() < noise else c for c in truth.category[part].tolist()]
            found = tracker.update(boxes, np.full(len(boxes), 0.9), np.array(labels, int), row / 5)
            fields = (array.tolist() for array in (found.boxes, found.scores, found.labels))
            index = int(truth.frame_index[row])
            out.append(
                TrackPrediction(
                    row, truth.names[row], *fields, video=video, frame_index=index, ids=found.ids.tolist()
                )
            )
    return evaluate_track(truth, to_track_columns(out)).summary()


def test_the_truth_scores_100(truth):
    scores = evaluate_track(truth, truth).summary()
    assert (scores['MOTA'], scores['IDF1'], scores['MOTP'], scores['IDSw']) == (100, 100, 100, 0)


@pytest.mark.parametrize('kind', TRACKERS)
def test_true_boxes(truth, kind):
    assert tracked(truth, kind())['IDF1'] >= 95


@pytest.mark.parametrize('kind', TRACKERS)
def test_the_vote_repairs_labels(truth, kind):
    clean = tracked(truth, kind(classes='vote'))
    noisy = {
        classes: tracked(truth, kind(classes=classes), 0.1)['mMOTA'] for classes in ('own', 'any', 'vote')
    }
    assert clean['mMOTA'] == pytest.approx(tracked(truth, kind())['mMOTA'], abs=2)
    assert noisy['vote'] > noisy['own'] and noisy['vote'] > noisy['any']
