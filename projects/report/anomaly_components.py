"""False alarms and missed objects of anomaly maps, as connected parts."""

from __future__ import annotations

import cv2
import numpy as np

from ..anomaly.result import PixelScores, Point

#: Smallest false alarm that is listed, in pixels, and the most of one image.
SMALLEST, MOST = 20, 60
#: Share of an unknown object's pixels below the threshold from which it counts as missed.
MISSED = 0.5


def best_f1(scores: PixelScores) -> Point:
    """The point of the curve with the highest F1 over the pixels; SegmentMeIfYouCan too cuts maps there."""

    def f1(point: Point) -> float:
        found = point.tpr * scores.outliers
        return 2 * found / (found + point.fpr * scores.inliers + scores.outliers)

    return max(scores.curve, key=f1)


def components(values: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, list]:
    """Connected parts (8 neighbors) of an image.

    Returns:
        ``alarms``: parts from the threshold on without a pixel of an unknown object, the largest first:
        ``(box, pixels, highest score)``. ``truth``: unknown objects: ``(box, share of pixels below the threshold,
        pixels, highest score)``. Boxes are x, y, width, height.
    """
    above = (values >= threshold) & (labels <= 1)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    touched = np.zeros(count, bool)
    touched[np.unique(parts[labels == 1])] = True
    highest = _highest(values, parts, count)
    alarms = [
        (stats[k, :4].tolist(), int(stats[k, 4]), highest[k])
        for k in range(1, count)
        if not touched[k] and stats[k, 4] >= SMALLEST
    ]
    count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == 1).astype(np.uint8), connectivity=8)
    below = np.bincount(parts[~above].ravel(), minlength=count)
    highest = _highest(values, parts, count)
    truth = [
        (stats[k, :4].tolist(), below[k] / stats[k, 4], int(stats[k, 4]), highest[k]) for k in range(1, count)
    ]
    return dict(alarms=sorted(alarms, key=lambda alarm: -alarm[1])[:MOST], truth=truth)


def _highest(values: np.ndarray, parts: np.ndarray, count: int) -> list[float]:
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, parts.ravel(), values.ravel().astype(float))
    return highest.tolist()
