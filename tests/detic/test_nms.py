import pytest
import torch
from mmcv.ops import batched_nms, nms

from mmroad.detic.roi_head import class_wise_nms


def made(number, classes, seed=0):
    """Boxes in tight groups, so that many overlaps lie near the threshold."""
    g = torch.Generator().manual_seed(seed)
    centre = torch.rand(number // 10, 2, generator=g).repeat(10, 1) * 400 + 100
    centre = centre + torch.rand(len(centre), 2, generator=g) * 8
    half = 20 + torch.rand(len(centre), 2, generator=g) * 4
    boxes = torch.cat([centre - half, centre + half], 1)
    scores = torch.randperm(len(boxes), generator=g) / len(boxes)  # no two alike
    return boxes, scores, torch.randint(classes, (len(boxes),), generator=g)


def class_by_class(boxes, scores, labels, iou):
    kept = [(labels == c).nonzero()[:, 0] for c in labels.unique()]
    kept = torch.cat([index[nms(boxes[index], scores[index], iou)[1]] for index in kept])
    return kept[scores[kept].argsort(descending=True)]


@pytest.mark.parametrize(('number', 'classes'), [(500, 5), (5000, 1203), (5000, 1), (1010, 3000)])
def test_classes_do_not_suppress_each_other(number, classes):
    boxes, scores, labels = made(number, classes)
    keep = class_wise_nms(boxes, scores, labels, 0.5)
    assert keep.tolist() == class_by_class(boxes, scores, labels, 0.5).tolist()
    assert (scores[keep].diff() <= 0).all() and len(keep) < number


def test_many_classes_cost_no_precision():
    boxes, scores, labels = made(20000, 40)
    labels = labels * 500  # mmcv moves a class's boxes by its label times the image's size
    exact = class_by_class(boxes, scores, labels, 0.5).tolist()
    assert class_wise_nms(boxes, scores, labels, 0.5).tolist() == exact
    assert batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.5))[1].tolist() != exact
