"""The proposal head's targets and losses against the definition, written as loops."""

import math

import pytest
import torch
from mmengine.structures import InstanceData

from mmroad.detic.centernet_rpn import CenterNetRPNHead, giou_loss
from mmroad.detic.centernet_targets import centernet_targets

STRIDES, RANGES = (8, 16), ((0, 30), (20, 1e7))
DELTA = (1 - 0.8) / (1 + 0.8)


def head() -> CenterNetRPNHead:
    cfg = dict(score_thr=1e-4, nms_pre=100, nms=dict(iou_threshold=0.9), max_per_img=20)
    net = CenterNetRPNHead(in_channels=32, stacked_convs=1, strides=STRIDES, size_ranges=RANGES, test_cfg=cfg)
    net.init_weights()
    return net


def naive_targets(boxes):
    """(centers, heat map, distances) cell by cell."""
    centers, heat, distances, start = [], [], [], 0
    for stride, (low, high) in zip(STRIDES, RANGES, strict=True):
        side = 64 // stride
        for box in boxes:
            half = math.hypot(box[2] - box[0], box[3] - box[1]) / 2
            if low <= half <= high:
                cx, cy = (box[0] + box[2]) / 2 // stride, (box[1] + box[3]) / 2 // stride
                centers.append(start + int(cy * side + cx))
        for row in range(side):
            for column in range(side):
                x, y = column * stride + stride // 2, row * stride + stride // 2
                value, best, target = 0.0, math.inf, [-1.0] * 4
                for box in boxes:
                    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                    sx, sy = cx // stride * stride + stride // 2, cy // stride * stride + stride // 2
                    squared = 0.0 if (x, y) == (sx, sy) else (x - cx) ** 2 + (y - cy) ** 2
                    squared /= max(2 * DELTA**2 * (box[2] - box[0]) * (box[3] - box[1]), 16)
                    value = max(value, math.exp(-squared))
                    d = [x - box[0], y - box[1], box[2] - x, box[3] - y]
                    half = math.hypot(d[0] + d[2], d[1] + d[3]) / 2
                    near = abs(x - sx) <= stride and abs(y - sy) <= stride
                    if min(d) > 0 and near and low <= half <= high and squared < best:
                        best, target = squared, d
                heat.append(value if value >= 1e-4 else 0.0)
                distances.append(target)
        start += side * side
    return centers, heat, distances


def test_targets_equal_the_definition():
    boxes = torch.tensor([[3.0, 5, 30, 40], [10, 8, 20, 18], [1, 1, 62, 60]])
    grids = head().grids([torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)])
    got = centernet_targets(boxes, grids, STRIDES, RANGES, 2 * DELTA**2, 4)
    centers, heat, distances = naive_targets(boxes.tolist())
    assert sorted(got.centers.tolist()) == sorted(centers)
    torch.testing.assert_close(got.heatmap, torch.tensor(heat))
    torch.testing.assert_close(got.distances, torch.tensor(distances))


def test_both_ends_of_a_size_range_belong_to_it():
    """Half diagonals of exactly 20 and 30 lie on both levels, in the regression as in the centers."""
    for box in ([8.0, 8, 32, 40], [4, 6, 40, 54]):  # 24 x 32 and 36 x 48
        grids = head().grids([torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)])
        got = centernet_targets(torch.tensor([box]), grids, STRIDES, RANGES, 2 * DELTA**2, 4)
        regressed = (got.distances >= 0).all(1)
        assert regressed[:64].any() and regressed[64:].any()
        assert sorted(c >= 64 for c in got.centers.tolist()) == [False, True]
        assert regressed.tolist() == [d != [-1] * 4 for d in naive_targets([box])[2]]


def test_an_image_without_boxes_has_an_empty_heat_map():
    grids = head().grids([torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)])
    got = centernet_targets(torch.zeros(0, 4), grids, STRIDES, RANGES, 2 * DELTA**2, 4)
    assert not len(got.centers) and not got.heatmap.any() and (got.distances == -1).all()


def test_giou_of_equal_boxes_is_zero_and_of_others_the_formula():
    box = torch.tensor([[1.0, 2, 3, 4]])
    assert float(giou_loss(box, box)) == pytest.approx(0, abs=1e-6)
    other = torch.tensor([[2.0, 1, 1, 5]])
    inter, union, hull = 2 * 5, 24 + 18 - 2 * 5, 5 * 7
    want = 1 - ((inter + 1) / (union + 1) - (hull - union) / hull)
    assert float(giou_loss(other, box)) == pytest.approx(want, rel=1e-6)


def test_losses_are_finite_and_reach_every_parameter():
    net = head()
    x = [torch.randn(2, 32, 8, 8), torch.randn(2, 32, 4, 4)]
    boxes = torch.tensor([[3.0, 5, 30, 40], [10, 8, 20, 18]])
    gts = [InstanceData(bboxes=boxes), InstanceData(bboxes=torch.zeros(0, 4))]
    losses = net.loss_by_feat(*net(x), gts)
    assert all(torch.isfinite(v) and v > 0 for v in losses.values()), losses
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_proposals_come_best_first_and_at_most_max_per_img():
    net = head()
    results = net.predict_by_feat(*net([torch.randn(1, 32, 8, 8), torch.randn(1, 32, 4, 4)]), [{}])
    scores = results[0].scores
    assert 0 < len(scores) <= 20 and (scores[:-1] >= scores[1:]).all()
    assert (results[0].bboxes[:, 2:] > results[0].bboxes[:, :2]).all()
