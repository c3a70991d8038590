"""Masks of Scalabel's ``poly2d``: closed chains of lines and cubic Bezier curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

#: Lines that a curve is drawn with.
STEPS = 16


def polygon_rle(poly2d: Any, height: int, width: int) -> dict:
    """The run-length code of the union of polygons, by COCO's rule of which pixels are inside.

    It differs from BDD100K's own bitmasks and codes, which matplotlib paints, in pixels of the border.

    Args:
        poly2d: A list of ``dict(vertices=[[x, y], ...], types='LLCCC...', closed=True)``: of every curve (``C``) two
            control points and its end.

    Raises:
        ValueError: No such list, or an open line, which has no inside.
    """
    outlines = []
    polygons: list[Any] = poly2d if isinstance(poly2d, list) and poly2d else [None]
    for poly in polygons:
        try:
            points = np.array(poly['vertices'], np.float64).reshape(-1, 2)
            types, closed = poly.get('types') or 'L' * len(points), poly.get('closed', True)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise ValueError('expected a list of polygons with vertices [[x, y], ...] and types') from None
        if not closed or len(points) < 3 or len(types) != len(points) or set(types) - set('LC'):
            raise ValueError(
                f'a polygon of {len(points)} vertices, types {types[:20]!r}, closed {closed}; expected a closed one '
                'of three or more vertices with one type (L or C) each'
            )
        outlines.append(_outline(points, types).ravel().tolist())
    return coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))


def _outline(points: np.ndarray, types: str) -> np.ndarray:
    """(n, 2) corners of a polygon whose curves are drawn as lines; a last curve ends in the first vertex."""
    corners, i = [points[:1]], 1
    while i < len(points):
        if types[i] == 'L':
            corners.append(points[i : i + 1])
            i += 1
            continue
        curve = np.concatenate([corners[-1][-1:], points[i : i + 3], points[:1]])[:4]
        if len(curve) < 4:
            raise ValueError(f'a curve at vertex {i} lacks control points')
        t = np.linspace(0, 1, STEPS + 1)[1:, None]
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        corners.append(sum(w * point for w, point in zip(weights, curve)))
        i += 3
    return np.concatenate(corners)
