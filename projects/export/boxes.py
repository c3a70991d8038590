"""Boxes of a batch of images, as tensors of one shape: decoding, choosing and suppressing."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from torch import Tensor, nn

from .operators import non_max_suppression, roi_align


def decode(coder: Any, priors: Tensor, predictions: Tensor, limits: Tensor) -> Tensor:
    """mmdet's box coders without its in-place steps and checks.

    Args:
        coder: ``DeltaXYWHBBoxCoder`` (of detectors with horizontal boxes) or ``DistancePointBBoxCoder``.
        priors: Boxes (..., 4) or points (..., 2), which broadcast to the predictions.
        predictions: (..., 4).
        limits: (4,) width, height, width, height, see ``Prepared``.

    Returns:
        (..., 4) x1, y1, x2, y2.

    Raises:
        ValueError: Another coder.
    """
    if type(coder) is DistancePointBBoxCoder:
        boxes = torch.cat([priors - predictions[..., :2], priors + predictions[..., 2:]], -1)
    elif (
        type(coder).__name__ in ('DeltaXYWHBBoxCoder', 'UnclampedDeltaCoder')
        or type(coder) is DeltaXYWHBBoxCoder
    ):
        if coder.add_ctr_clamp:
            raise ValueError('box coders with add_ctr_clamp are not exported')
        deltas = predictions * predictions.new_tensor(coder.stds) + predictions.new_tensor(coder.means)
        limit = abs(math.log(16 / 1000))
        size = priors[..., 2:] - priors[..., :2]
        center = (priors[..., :2] + priors[..., 2:]) * 0.5 + size * deltas[..., :2]
        half = size * deltas[..., 2:].clamp(-limit, limit).exp() * 0.5
        boxes = torch.cat([center - half, center + half], -1)
    else:
        raise ValueError(f'boxes of {type(coder).__name__} are not exported')
    return torch.minimum(boxes.clamp(min=0), limits) if coder.clip_border else boxes


def rows(x: Tensor, index: Tensor) -> Tensor:
    """Of every image's rows (B, n, D) those at (B, k): (B, k, D)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


def best(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The best ``most`` of (B, n), best first, and where they are; where there are fewer, 0 and the last."""
    count = scores.shape[1]
    padded = torch.cat([scores, scores.new_zeros(scores.shape[0], most)], 1)
    values, index = padded.topk(most)
    return values, torch.minimum(index, torch.as_tensor(count - 1))


def suppress(
    boxes: Tensor, scores: Tensor, labels: Tensor | None, iou: float, most: int
) -> tuple[Tensor, Tensor]:
    """Non-maximum suppression as mmcv's ``batched_nms``: boxes are moved apart by their labels, in float32 as there.

    Args:
        boxes: (B, n, 4).
        scores: (B, n); 0 or less is no candidate.
        labels: (B, n), or (1, n); None suppresses across all.
        iou: Overlap above which the lower score goes.
        most: Of an image.

    Returns:
        Rows (B, m) of the kept, best first, and whether there is one; m is the largest number of an image's.
    """
    if labels is not None:
        candidate = (scores > 0)[..., None]
        reach = (boxes * candidate).flatten(1).amax(1) + 1
        boxes = boxes + (labels * reach[:, None])[..., None]
    found = non_max_suppression(boxes, scores[:, None], iou, most)
    return table(found[:, 0], found[:, 2], boxes.shape[0], most)


def table(image: Tensor, values: Tensor, images: Any, most: int) -> tuple[Tensor, Tensor]:
    """Values (m,) of images (m,), sorted by image, as rows: (B, k) with 0 where an image has fewer, and which are."""
    if isinstance(images, int) and images == 1:
        return values[None], torch.ones_like(values[None], dtype=torch.bool)
    counts = (image[:, None] == torch.arange(images)).sum(0)
    place = torch.arange(image.shape[0]) - (counts.cumsum(0) - counts)[image]
    out = values.new_full((images, most), -1).index_put((image, place), values)
    out = out[:, : counts.amax()]
    return out.clamp(min=0), out >= 0


def pool(maps: tuple[Tensor, ...], boxes: Tensor, extractor: nn.Module) -> Tensor:
    """mmdet's ``SingleRoIExtractor``: features (B * n, C, s, s) of boxes (B, n, 4)."""
    layers = extractor.roi_layers
    image, boxes = image_of(boxes), boxes.reshape(-1, 4)
    if len(layers) == 1:
        return roi_align(maps[0], boxes, image, layers[0])
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
    level = torch.floor(torch.log2(size / extractor.finest_scale + 1e-6)).clamp(0, len(layers) - 1)
    order = [(level == i).nonzero()[:, 0] for i in range(len(layers))]
    parts = [roi_align(maps[i], boxes[own], image[own], layers[i]) for i, own in enumerate(order)]
    place = torch.zeros_like(image).scatter(0, torch.cat(order), torch.arange(image.shape[0]))
    return torch.cat(parts)[place]


def image_of(boxes: Tensor) -> Tensor:
    """Which image each of the boxes (B, n, 4) is of: (B * n,)."""
    return torch.arange(boxes.shape[0])[:, None].expand(boxes.shape[0], boxes.shape[1]).reshape(-1)


def paste(probs: Tensor, boxes: Tensor, original: tuple[Any, Any], threshold: float) -> Tensor:
    """mmdet's ``FCNMaskHead``: mask probabilities (B * n, 1, s, s) of boxes (B, n, 4), in pixels of the images of size
    ``original``, as masks (B, n, H, W) bool. The mask of an empty box is empty."""
    height, width = original
    flat, side = boxes.reshape(-1, 4), probs.shape[-1]
    size = (flat[:, 2:] - flat[:, :2]).clamp(min=1e-6)
    place = torch.arange(side).float()

    def weights(length: Any, axis: int) -> Tensor:
        at = (torch.arange(length).float() + 0.5 - flat[:, axis, None]) / size[:, axis, None] * side - 0.5
        return (1 - (at[..., None] - place).abs()).clamp(min=0)

    # bilinear by one axis after the other: sampling by a grid would need ten times the memory of the masks
    masks = weights(height, 1) @ probs[:, 0] @ weights(width, 0).transpose(1, 2) >= threshold
    return by_image(masks, boxes)


def by_image(x: Tensor, boxes: Tensor) -> Tensor:
    """What (B * n, ...) is of boxes (B, n, 4) as (B, n, ...)."""
    images, most = boxes.shape[:2]
    # not by a reshape: of none at all, ONNX's takes the 0 for "as it is"
    return x[torch.arange(images)[:, None] * most + torch.arange(most)]
