"""Training targets of the CenterNet proposal head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class CenterNetTargets(NamedTuple):
    """Targets of one image; M cells of all levels in turn."""

    centers: Tensor  #: (P,) cell of a positive, one a (box, level) that is responsible for it
    heatmap: Tensor  #: (M,) in [0, 1]
    distances: Tensor  #: (M, 4) left, top, right, bottom in pixels; negative where nothing is regressed


def centernet_targets(
    bboxes: Tensor,
    grids: list[Tensor],
    strides: tuple[int, ...],
    size_ranges: tuple[tuple[float, float], ...],
    radius_factor: float,
    min_radius: float,
) -> CenterNetTargets:
    """Targets of one image.

    Args:
        bboxes: (n, 4) xyxy in pixels.
        grids: The pixel of every cell, (H_l * W_l, 2), one a level.
        strides: Pixels per cell, one a level.
        size_ranges: Half diagonals in pixels, both ends included, one a level.
        radius_factor, min_radius: radius^2 = max(radius_factor * area, min_radius^2).
    """
    grid = torch.cat(grids)
    if not len(bboxes):
        return CenterNetTargets(
            grid.new_zeros(0, dtype=torch.long), grid.new_zeros(len(grid)), grid.new_full((len(grid), 4), -1)
        )
    bboxes = bboxes.float()
    per_cell = [len(g) for g in grids]
    stride = torch.cat([g.new_full((n,), s) for g, n, s in zip(grids, per_cell, strides, strict=True)])
    low, high = (
        torch.cat([g.new_full((n,), r[k]) for g, n, r in zip(grids, per_cell, size_ranges, strict=True)])
        for k in (0, 1)
    )
    center = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    cell = stride[:, None, None]
    snapped = torch.div(center[None], cell, rounding_mode='floor') * cell
    snapped = snapped + torch.div(cell, 2, rounding_mode='floor')

    offset = grid[:, None] - snapped  # (M, n, 2)
    squared = ((grid[:, None] - center[None]) ** 2).sum(-1)
    squared = squared.masked_fill((offset == 0).all(-1), 0)
    area = (bboxes[:, 2:] - bboxes[:, :2]).prod(-1)
    squared = squared / (radius_factor * area).clamp(min=min_radius**2)
    heatmap = (-squared.amin(1)).exp()
    heatmap = heatmap.masked_fill(heatmap < 1e-4, 0)

    distances = torch.cat([grid[:, None] - bboxes[None, :, :2], bboxes[None, :, 2:] - grid[:, None]], -1)
    near = (offset.abs() <= cell).all(-1) & (distances.amin(-1) > 0)
    half = (distances[..., :2] + distances[..., 2:]).norm(dim=-1) / 2
    near &= (half >= low[:, None]) & (half <= high[:, None])
    nearest, which = squared.masked_fill(~near, torch.inf).min(1)
    distances = distances[torch.arange(len(grid), device=grid.device), which]
    distances = distances.masked_fill(nearest.isinf()[:, None], -1)
    return CenterNetTargets(_center_cells(bboxes, center, grids, strides, size_ranges), heatmap, distances)


def _center_cells(
    bboxes: Tensor,
    center: Tensor,
    grids: list[Tensor],
    strides: tuple[int, ...],
    size_ranges: tuple[tuple[float, float], ...],
) -> Tensor:
    half = (bboxes[:, 2:] - bboxes[:, :2]).norm(dim=-1) / 2
    cells, start = [], 0
    for grid, stride, (low, high) in zip(grids, strides, size_ranges, strict=True):
        width = int(grid[-1, 0] // stride) + 1
        index = torch.div(center, stride, rounding_mode='floor').long()
        height = len(grid) // width
        # A center on the padded image's far edge belongs to its last cell.
        index = index[:, 1].clamp(0, height - 1) * width + index[:, 0].clamp(0, width - 1)
        cells.append(start + index[(half >= low) & (half <= high)])
        start += len(grid)
    return torch.cat(cells)
