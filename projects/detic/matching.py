"""Regions of an image matched to its ground truth, and a sample of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor


class Matched(NamedTuple):
    """Regions of one image with their ground truth."""

    bboxes: Tensor  #: (n, 4)
    labels: Tensor  #: (n,) in 0..C, C the background
    gt_index: Tensor  #: (n,) row of the matched ground truth (0 where there is none)
    gt_bboxes: Tensor  #: (n, 4) the matched box


def match(boxes: Tensor, gt: InstanceData, iou: float, background: int) -> Matched:
    """Each box to the ground truth it overlaps most, foreground from ``iou`` on."""
    if not len(gt):
        labels = torch.full((len(boxes),), background, dtype=torch.long, device=boxes.device)
        return Matched(boxes, labels, torch.zeros_like(labels), boxes)
    gt_bboxes = gt.bboxes.to(boxes)
    overlap, index = bbox_overlaps(boxes, gt_bboxes).max(1)
    labels = gt.labels[index].masked_fill(overlap < iou, background)
    return Matched(boxes, labels, index, gt_bboxes[index])


def sample(matched: Matched, background: int, num: int, pos_fraction: float) -> Matched:
    """At most ``num`` regions, at most ``pos_fraction`` of them foreground, drawn at random."""
    positive = (matched.labels < background).nonzero()[:, 0]
    negative = (matched.labels == background).nonzero()[:, 0]
    num_pos = min(len(positive), int(num * pos_fraction))
    num_neg = min(len(negative), num - num_pos)
    keep = torch.cat(
        [
            positive[torch.randperm(len(positive), device=positive.device)[:num_pos]],
            negative[torch.randperm(len(negative), device=negative.device)[:num_neg]],
        ]
    )
    return Matched(*(field[keep] for field in matched))
