"""Non-maximum suppression on a CPU in parts that do not overlap.

mmcv compares every kept box with every later one. mmdet suppresses levels or classes together by moving their boxes
apart, so most of these pairs lie far from each other. Boxes that no other reaches across, along x, are suppressed for
themselves; what is kept, and its order, stays the same.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

#: Boxes of a part at least; smaller parts cost more calls than they spare pairs.
PART = 256


def parts_along_x(boxes: Tensor, offset: int = 0) -> list[Tensor]:
    """Indices of boxes (n, 4) in parts whose intersections with one another are empty.

    Args:
        offset: 1 where a box ends behind its last pixel, as in mmcv's ``nms``.
    """
    left, order = boxes[:, 0].sort()
    gap = left[1:] - boxes[order, 2].cummax(0).values[:-1]
    ends, last = [], 0
    for end in ((gap >= max(offset, 0)).nonzero()[:, 0] + 1).tolist():
        if end - last >= PART:
            ends.append(end)
            last = end
    return list(order.tensor_split(ends))


def suppress_in_parts(function: Any) -> None:
    """Make mmcv's ``NMSop`` suppress in parts on a CPU, but not while a model is traced or exported."""
    forward = function.forward

    @functools.wraps(forward)
    def run(
        ctx: Any,
        bboxes: Tensor,
        scores: Tensor,
        iou_threshold: float,
        offset: int,
        score_threshold: float,
        max_num: int,
    ) -> Tensor:
        few = len(bboxes) <= 2 * PART or bboxes.device.type != 'cpu' or iou_threshold < 0
        if few or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
            return forward(ctx, bboxes, scores, iou_threshold, offset, score_threshold, max_num)
        bboxes, scores, chosen = bboxes.float(), scores.float(), torch.arange(len(bboxes))
        if score_threshold > 0:
            chosen = (scores > score_threshold).nonzero()[:, 0]
            bboxes, scores = bboxes[chosen], scores[chosen]
        # Equal scores are in the order in which mmcv's sort of all boxes leaves them, also within a part.
        order = scores.sort(0, descending=True).indices
        bboxes = bboxes[order]
        falling = -torch.arange(len(bboxes), dtype=torch.float32)
        parts = parts_along_x(bboxes, offset)
        kept = [
            part[forward(ctx, bboxes[part], falling[part], iou_threshold, offset, 0, -1)] for part in parts
        ]
        kept = order[torch.cat(kept).sort().values]
        return chosen[kept[:max_num] if max_num > 0 else kept]

    run.guarded = True
    function.forward = staticmethod(run)
