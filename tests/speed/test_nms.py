"""Suppression in parts keeps the same boxes in the same order as mmcv's own."""

import inspect

import pytest
import torch
from mmcv.ops import batched_nms, nms
from mmcv.ops.nms import NMSop

from mmroad.runtime.speed import nms as speed
from mmroad.runtime.speed.operators import guard_operators


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    guard_operators()
    monkeypatch.setattr(speed, 'PART', 8)


def mmcvs(boxes, scores, iou=0.5, offset=0, score_threshold=0.0, max_num=-1):
    return inspect.unwrap(NMSop.forward)(None, boxes, scores, iou, offset, score_threshold, max_num)


def problem(seed, n=300):
    g = torch.Generator().manual_seed(seed)
    corner = (torch.rand(n, 2, generator=g) * torch.tensor([900.0, 100.0])).round()
    side = (torch.rand(n, 2, generator=g) * 25).round()  # some of no size
    scores = (torch.rand(n, generator=g) * 40).round() / 40  # many equal
    return torch.cat([corner, corner + side], 1), scores


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('offset', [0, 1])
def test_the_same_boxes_in_the_same_order(seed, offset):
    boxes, scores = problem(seed)
    assert len(speed.parts_along_x(boxes, offset)) > 1
    for options in (
        dict(),
        dict(score_threshold=0.3),
        dict(score_threshold=0.95),
        dict(max_num=20),
        dict(iou=0.0),
        dict(iou=0.9),
    ):
        want = mmcvs(boxes, scores, offset=offset, **options)
        options = dict(options, iou_threshold=options.pop('iou', 0.5))
        assert 0 < len(want) <= 300
        assert torch.equal(nms(boxes, scores, offset=offset, **options)[1], want)


def test_classes_apart(monkeypatch):
    boxes, scores = problem(9)
    labels = torch.randint(0, 7, (300,), generator=torch.Generator().manual_seed(0))
    got = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.3))[1]
    monkeypatch.setattr(speed, 'PART', 10**6)
    assert torch.equal(batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.3))[1], got)


def test_parts_do_not_touch():
    boxes, _ = problem(3)
    for offset in (0, 1):
        parts = speed.parts_along_x(boxes, offset)
        assert torch.equal(torch.cat(parts).sort().values, torch.arange(300))
        for before, after in zip(parts, parts[1:]):
            assert boxes[before, 2].max() + offset <= boxes[after, 0].min() and len(before) >= 8


def test_boxes_that_are_not_finite_stay_together():
    boxes, scores = problem(4)
    boxes[7, 0], boxes[9, 2], boxes[11, 2] = float('nan'), float('nan'), float('inf')
    assert torch.equal(nms(boxes, scores, 0.5)[1], mmcvs(boxes, scores))


def test_bfloat16_is_computed_in_float32():
    boxes, scores = (x.bfloat16() for x in problem(5))
    assert torch.equal(nms(boxes, scores, 0.5)[1], mmcvs(boxes.float(), scores.float()))
