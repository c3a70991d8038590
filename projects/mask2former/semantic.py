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


def _source_rows(height: int, target: int, start: int, stop: int, device) -> tuple[Tensor, Tensor, Tensor]:
    """For rows ``start`` to ``stop`` of ``target``: source rows above and below, and the weight of these."""
    rows = torch.arange(start, stop, device=device, dtype=torch.float32)
    source = ((rows + 0.5) * (height / target) - 0.5).clamp(0, height - 1)
    above = source.floor().long()
    return above, (above + 1).clamp(max=height - 1), (source - above)[:, None]


def upsample_rows(masks: Tensor, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """Rows ``start`` to ``stop`` of ``F.interpolate(masks, size, mode='bilinear', align_corners=False)``.

    Args:
        masks: (Q, h, w).
        size: The whole output's height and width.

    Returns:
        (Q, stop - start, W).
    """
    above, below, weight = _source_rows(masks.shape[1], size[0], start, stop, masks.device)
    band = torch.lerp(masks[:, above], masks[:, below], weight.to(masks.dtype))
    return F.interpolate(band[None], (stop - start, size[1]), mode='bilinear', align_corners=False)[0]


def mask_bands(
    masks: Tensor,
    padded: tuple[int, int],
    size: tuple[int, int] | None = None,
    final: tuple[int, int] | None = None,
    resize_masks: bool = False,
) -> Iterator[tuple[slice, Tensor]]:
    """Mask probabilities at image size, a band of rows at a time.

    Args:
        masks: Mask logits (Q, h, w) over the padded image.
        padded: Height and width of the padded image.
        size: Height and width without the padding below and on the right (default: ``padded``).
        final: Height and width to which probabilities are resized (default: ``size``). As resizing is
            linear, sums over queries of these are resized sums.
        resize_masks: Resize mask logits to ``final`` instead, and take their probabilities there.

    Yields:
        The rows and their probabilities (Q, rows, W).
    """
    size = size or padded
    final = final or size

    def upsampled(start: int, stop: int) -> Tensor:
        return upsample_rows(masks, padded, start, stop)[..., : size[1]]

    step = max(1, BAND // (len(masks) * max(padded[1], final[1])))
    for start in range(0, final[0], step):
        rows = slice(start, min(start + step, final[0]))
        if final == size:
            yield rows, upsampled(rows.start, rows.stop).sigmoid_()
            continue
        above, below, weight = _source_rows(size[0], final[0], rows.start, rows.stop, masks.device)
        first = int(above[0])
        band = upsampled(first, int(below[-1]) + 1)
        band = band if resize_masks else band.sigmoid_()
        band = torch.lerp(band[:, above - first], band[:, below - first], weight.to(band.dtype))
        shape = (rows.stop - rows.start, final[1])
        band = F.interpolate(band[None], shape, mode='bilinear', align_corners=False)[0]
        yield rows, band.sigmoid_() if resize_masks else band


def semantic_map(class_scores: Tensor, masks: Tensor, padded: tuple[int, int], **options) -> Tensor:
    """Sum over queries of class scores times mask probabilities, (C, H, W) float32.

    Args:
        class_scores: (Q, C), such as ``softmax(logits)[:, :-1]``.
        masks, padded, options: As for `mask_bands`.
    """
    height, width = options.get('final') or options.get('size') or padded
    out = class_scores.new_empty(class_scores.shape[1], height, width, dtype=torch.float32)
    for rows, probs in mask_bands(masks.float(), padded, **options):
        out[:, rows] = sum_queries(class_scores, probs)
    return out


def sum_queries(class_scores: Tensor, probs: Tensor) -> Tensor:
    """(Q, C) class scores and (Q, H, W) mask probabilities to (C, H, W)."""
    return (class_scores.float().T @ probs.flatten(1)).view(-1, *probs.shape[1:])
