"""From queries to a semantic map, in bounded memory.

The map is S_c = sum_q p_q(c) sigmoid(m_q), the mask logits m_q being upsampled first (Mask2Former,
https://arxiv.org/abs/2112.01527). Upsampling all 100 masks of a 1024x2048 image takes 840 MB, and their
sigmoid as much again; here a band of rows at a time goes through all three steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

#: Upsampled mask logits held at a time, in elements (float32: 8 MB, within a processor's cache).
BAND = 2**21


def upsample_rows(masks: Tensor, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """Rows ``start`` to ``stop`` of ``F.interpolate(masks, size, mode='bilinear', align_corners=False)``.

    Args:
        masks: (Q, h, w).
        size: The whole output's height and width.

    Returns:
        (Q, stop - start, W).
    """
    height = masks.shape[1]
    rows = torch.arange(start, stop, device=masks.device, dtype=torch.float32)
    source = ((rows + 0.5) * (height / size[0]) - 0.5).clamp(0, height - 1)
    above = source.floor().long()
    below = (above + 1).clamp(max=height - 1)
    weight = (source - above)[:, None].to(masks.dtype)
    band = torch.lerp(masks[:, above], masks[:, below], weight)
    return F.interpolate(band[None], (stop - start, size[1]), mode='bilinear', align_corners=False)[0]


def mask_bands(
    masks: Tensor, padded: tuple[int, int], size: tuple[int, int] | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Mask probabilities at image size, a band of rows at a time.

    Args:
        masks: Mask logits (Q, h, w) over the padded image.
        padded: Height and width of the padded image.
        size: Height and width without the padding at the bottom and right (default: all).

    Yields:
        The rows and their probabilities (Q, rows, W).
    """
    height, width = size or padded
    step = max(1, BAND // (len(masks) * padded[1]))
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        yield rows, upsample_rows(masks, padded, rows.start, rows.stop)[..., :width].sigmoid_()


def semantic_map(
    class_scores: Tensor, masks: Tensor, padded: tuple[int, int], size: tuple[int, int] | None = None
) -> Tensor:
    """Sum over queries of class scores times mask probabilities, (C, H, W) float32.

    Args:
        class_scores: (Q, C), such as ``softmax(logits)[:, :-1]``.
        masks, padded, size: As for `mask_bands`.
    """
    class_scores = class_scores.float().T.contiguous()
    height, width = size or padded
    out = class_scores.new_empty(len(class_scores), height, width)
    for rows, probs in mask_bands(masks.float(), padded, size):
        out[:, rows] = (class_scores @ probs.flatten(1)).view(-1, *probs.shape[1:])
    return out
