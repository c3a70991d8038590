"""Which boxes of which classes are kept, as the published models have it from torchvision."""

from __future__ import annotations

import torch
from mmcv.ops import nms
from mmengine.structures import InstanceData
from torch import Tensor


def select_detections(boxes: Tensor, scores: Tensor, cfg: dict) -> InstanceData:
    """Threshold, class-wise NMS and the best ``max_per_img`` of (n, 4) boxes and (n, C) scores, of which those
    without width or height are dropped, as detectron2 does."""
    finite = boxes.isfinite().all(1) & scores.isfinite().all(1)
    boxes, scores = boxes[finite], scores[finite]
    if cfg.get('one_class_per_proposal', False) and len(scores):
        scores = scores * (scores == scores.max(1, keepdim=True).values)
    candidates = scores > cfg['score_thr']
    iou, regions, every = float(cfg['nms']['iou_threshold']), boxes, scores
    region, labels = candidates.nonzero(as_tuple=True)
    boxes, scores = boxes[region], scores[region, labels]
    result = InstanceData(bboxes=boxes, scores=scores, labels=labels, regions=region)
    if not len(boxes):
        return result
    if moves_apart(boxes):
        # mmcv's batched_nms moves many boxes too, which with thousands of classes costs float32 its precision.
        keep = nms(boxes + (labels.to(boxes) * (boxes.max() + 1))[:, None], scores, iou)[1]
    else:
        keep = shared_nms(regions, every, candidates, iou)[region, labels].nonzero()[:, 0]
        keep = keep[scores[keep].sort(descending=True).indices]
    result = result[keep[: cfg['max_per_img']]]
    return result[(result.bboxes[:, 2:] > result.bboxes[:, :2]).all(1)]


def moves_apart(boxes: Tensor) -> bool:
    """Whether there are so few boxes (n, 4) that the published models suppress all classes in one go."""
    return boxes.numel() <= (4000 if boxes.device.type == 'cpu' else 20000)


def shared_nms(boxes: Tensor, scores: Tensor, candidates: Tensor, iou: float) -> Tensor:
    """Suppression within each class where all classes share their boxes, for all classes at once.

    The overlaps are computed once; then the first candidate of every class suppresses the others, the second, and so
    on, in at most n steps. What is kept is what mmcv's ``nms`` keeps class by class.

    Args:
        boxes: (n, 4).
        scores: (n, C).
        candidates: (n, C) bool, the scores that count.

    Returns:
        (n, C) bool, the candidates that are kept.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    inner = torch.minimum(boxes[:, None, 2:], boxes[:, 2:]) - torch.maximum(boxes[:, None, :2], boxes[:, :2])
    inner = inner.clamp(min=0).prod(2)
    union = area[:, None] + area - inner
    # As mmcv's code for each writes it, so that borderline pairs fall on the same side.
    overlap = inner / union > iou if boxes.device.type == 'cpu' else inner > iou * union
    overlap.fill_diagonal_(False)
    counts, busiest = candidates.sum(0).sort(descending=True)
    order = (
        scores.masked_fill(~candidates, -torch.inf)[:, busiest]
        .sort(dim=0, descending=True, stable=True)
        .indices
    )
    alive = candidates[:, busiest].t().contiguous()
    # How many classes have a candidate of each rank; the busiest classes are first.
    having = torch.searchsorted(-counts, -torch.arange(len(boxes), device=counts.device)).tolist()
    for rank, classes in enumerate(having):
        if not classes:
            break
        first = order[rank, :classes]
        kept = alive[:classes].gather(1, first[:, None])
        alive[:classes] &= ~(overlap[first] & kept)
    keep = torch.empty_like(candidates)
    keep[:, busiest] = alive.t()
    return keep
