"""Overlaps of boxes."""

from __future__ import annotations

import numpy as np


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x1, y1, x2, y2: (n, m) of (n, 4) with (m, 4), (m,) of one (4,) with (m, 4);
    0 where both have no area."""
    sides = np.minimum(a[..., None, 2:], b[:, 2:]) - np.maximum(a[..., None, :2], b[:, :2])
    shared = np.maximum(sides, 0).prod(-1)
    areas, others = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    return shared / np.maximum(areas[..., None] + others - shared, 1e-9)
