"""VC_n by hand and against a direct count."""

import numpy as np
import pytest

from mmroad.rankseg.video.consistency import run_lengths, video_consistency


def column(*values):
    """Frames of one row: values[p] are pixel p's labels over time."""
    return np.array(values, np.uint8).T[:, None]


def test_by_hand():
    gt = column([1, 1, 1, 1], [2, 2, 2, 2], [3, 4, 4, 4], [255, 255, 255, 255])
    pred = column([7, 7, 7, 7], [2, 2, 5, 5], [0, 0, 0, 0], [1, 1, 0, 0])
    # two frames: windows start at frames 0 and 1 (not 2, as published); a wrong but steady label counts
    assert video_consistency(gt, pred, 2).tolist() == [3 / 3, 2 / 4]
    # three frames: the window of frames 0 to 2 alone
    assert video_consistency(gt, pred, 3).tolist() == [1 / 3]
    assert len(video_consistency(gt, pred, 4)) == len(video_consistency(gt, pred, 5)) == 0


def test_no_steady_pixel_is_nan():
    gt = column([1, 2, 1, 2])
    assert np.isnan(video_consistency(gt, gt, 2)).all()


@pytest.mark.parametrize('n', [2, 3, 5])
def test_equals_a_direct_count(n):
    rng = np.random.default_rng(0)
    change = rng.random((2, 9, 6, 7)) < 0.2
    gt, pred = np.cumsum(change, 1).astype(np.uint8)
    want = []
    for start in range(9 - n):
        steady = (gt[start : start + n] == gt[start]).all(0)
        predicted = (pred[start : start + n] == pred[start]).all(0)
        want.append((steady & predicted).sum() / steady.sum())
    np.testing.assert_allclose(video_consistency(gt, pred, n), want)


def test_run_lengths():
    assert run_lengths(column([5, 5, 6, 6, 6]))[:, 0, 0].tolist() == [1, 2, 1, 2, 3]


def test_sizes_differ():
    with pytest.raises(ValueError, match='prediction'):
        video_consistency(np.zeros((3, 2, 2)), np.zeros((3, 2, 3)), 2)


def test_a_video_does_not_go_on_where_it_began():
    assert run_lengths(np.array([1, 2, 2, 1]).reshape(4, 1, 1)).ravel().tolist() == [1, 1, 2, 1]
