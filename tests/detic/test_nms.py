import pytest
import torch
from mmcv.ops import nms

from mmroad.detic.suppression import moves_apart, select_detections, shared_nms


def made(number, classes, seed=0):
    """Boxes in tight groups, so that many overlaps lie near the threshold."""
    g = torch.Generator().manual_seed(seed)
    center = torch.rand(number // 10, 2, generator=g).repeat(10, 1) * 400 + 100
    center = center + torch.rand(len(center), 2, generator=g) * 8
    half = 20 + torch.rand(len(center), 2, generator=g) * 4
    boxes = torch.cat([center - half, center + half], 1)
    scores = torch.randperm(len(boxes), generator=g) / len(boxes)  # no two alike
    return boxes, scores, torch.randint(classes, (len(boxes),), generator=g)


def class_by_class(boxes, scores, labels, iou):
    kept = [(labels == c).nonzero()[:, 0] for c in labels.unique()]
    kept = torch.cat([index[nms(boxes[index], scores[index], iou)[1]] for index in kept])
    return kept[scores[kept].argsort(descending=True)]


@pytest.mark.parametrize(
    ('number', 'classes', 'apart'), [(500, 5, True), (990, 3000, True), (1100, 40, False)]
)
def test_classes_do_not_suppress_each_other(number, classes, apart):
    boxes, scores, labels = made(number, classes)
    assert moves_apart(boxes) == apart
    dense = torch.zeros(len(boxes), classes)
    dense[torch.arange(len(boxes)), labels] = scores + 0.1
    got = select_detections(boxes, dense, dict(score_thr=0.05, nms=dict(iou_threshold=0.5), max_per_img=9999))
    want = class_by_class(boxes, scores, labels, 0.5)
    assert torch.equal(got.regions, want) and torch.equal(got.labels, labels[want])
    assert (got.scores.diff() <= 0).all() and len(got) < number


@pytest.mark.parametrize(
    ('number', 'classes', 'share'), [(300, 90, 0.5), (60, 400, 0.9), (500, 3, 1.0), (20, 7, 0.0)]
)
def test_classes_that_share_their_boxes_are_suppressed_at_once(number, classes, share):
    boxes, *_ = made(number, 2)
    g = torch.Generator().manual_seed(1)
    scores = torch.rand(number, classes, generator=g)
    scores[:, 0] = scores[:, 0].mul(4).round() / 4 + 0.1  # equal ones: the first region goes first
    candidates = torch.rand(number, classes, generator=g) < share
    candidates[:, 1] = False
    keep = shared_nms(boxes, scores, candidates, 0.5)
    for c in range(classes):
        index = candidates[:, c].nonzero()[:, 0]
        alike = (
            (-scores[index, c]).argsort(stable=True).argsort().float()
        )  # mmcv leaves equal scores in any order
        want = index[nms(boxes[index], -alike, 0.5)[1]].sort().values
        assert torch.equal(keep[:, c].nonzero()[:, 0], want)
    assert share == 0 or 0 < keep.sum() < candidates.sum()


def test_detections_are_those_of_the_class_by_class_way():
    boxes, *_ = made(200, 2)
    scores = torch.rand(200, 50, generator=torch.Generator().manual_seed(3))
    region, labels = (scores > 0.4).nonzero(as_tuple=True)
    assert not moves_apart(boxes[region])
    keep = class_by_class(boxes[region], scores[region, labels], labels, 0.5)
    got = select_detections(boxes, scores, dict(score_thr=0.4, nms=dict(iou_threshold=0.5), max_per_img=700))
    assert torch.equal(got.regions, region[keep][:700]) and torch.equal(got.labels, labels[keep][:700])
