"""Targets of the mask head: ground-truth outlines rasterized inside each region, as the published models are trained.

Source: Mask R-CNN (arXiv:1703.06870) with COCO's rasterizer; a region is not clipped to the image.
"""

from __future__ import annotations

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from pycocotools import mask as coco_mask
from torch import Tensor


def mask_targets(masks: PolygonMasks | BitmapMasks, boxes: Tensor, index: Tensor, size: int) -> Tensor:
    """The ground truth inside each region.

    Args:
        masks: Of an image's objects. Outlines are rasterized at the target's own resolution; bitmaps are
            pooled by RoIAlign and cut at 0.5, which is close to it but not the same.
        boxes: (n, 4) regions, xyxy, which may reach beyond the image.
        index: (n,) the object of each region.
        size: Side of a target in cells.

    Returns:
        (n, size, size), 0 or 1, of the boxes' type.
    """
    if not len(boxes):
        return boxes.new_zeros(0, size, size)
    if isinstance(masks, BitmapMasks):
        found = masks.crop_and_resize(boxes, (size, size), inds=index, device=boxes.device).masks
    else:
        pairs = zip(boxes.detach().cpu().double().numpy(), index.tolist(), strict=True)
        found = np.stack([rasterize(masks.masks[i], box, size) for box, i in pairs])
    return torch.from_numpy(found).to(boxes)


def rasterize(polygons: list[np.ndarray], box: np.ndarray, size: int) -> np.ndarray:
    """The union of polygons (x0, y0, x1, y1, ...) in a box xyxy, as (size, size) uint8."""
    scale = size / np.maximum(box[2:] - box[:2], 0.1)
    shifted = [(np.reshape(p, (-1, 2)) - box[:2]) * scale for p in polygons]
    codes = coco_mask.frPyObjects([p.ravel().tolist() for p in shifted], size, size)
    return coco_mask.decode(coco_mask.merge(codes))
