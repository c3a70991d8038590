"""Ranges of the overall numbers of anomaly maps, by drawing images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..anomaly.result import PixelScores
from ..anomaly.values import by_class, widened
from .bootstrap import resample


class Counts:
    """How many pixels of each image lie from each of the curve's thresholds (about a thousand) on.

    Of drawn images the numbers are computed at these thresholds alone, which is why they are good for ranges; the
    numbers themselves are computed at every distinct score.

    Args:
        scores: Of the whole set.
    """

    def __init__(self, scores: PixelScores) -> None:
        self._thresholds = np.array([point.threshold for point in scores.curve])
        self._above: list[np.ndarray] = []
        self._pixels: list[tuple[int, int]] = []

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Count an image's scores (H, W) by its labels (0 inlier, 1 outlier)."""
        parts = [np.sort(widened(part)) for part in by_class(values, labels)]
        self._above.append(np.stack([len(part) - np.searchsorted(part, self._thresholds) for part in parts]))
        self._pixels.append((len(parts[0]), len(parts[1])))

    def draws(
        self, number: int, progress: Callable[[range], Iterable[int]] = lambda rows: rows
    ) -> np.ndarray:
        """(number, 3) AP, AUROC and FPR95 in per cent of images that are drawn with replacement."""
        above, pixels = np.stack(self._above).astype(float), np.array(self._pixels, float)
        return resample(
            lambda weight: measures(np.tensordot(weight, above, 1), weight @ pixels),
            len(pixels),
            number,
            progress,
        )


def measures(above: np.ndarray, pixels: Sequence[float]) -> np.ndarray:
    """(3,) AP, AUROC and FPR95 in per cent from the points of a curve; NaN where a class has no pixel.

    Args:
        above: (2, p) inliers and outliers from each threshold on, thresholds falling.
        pixels: All inliers and outliers.
    """
    inliers, outliers = pixels
    if not inliers or not outliers:
        return np.full(3, np.nan)
    fpr, tpr = above[0] / inliers, above[1] / outliers
    precision = above[1] / np.maximum(above.sum(0), 1)
    ap = np.sum(np.diff(tpr, prepend=0) * precision)
    x, y = np.concatenate([[0], fpr, [1]]), np.concatenate([[0], tpr, [1]])
    area = np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)
    return 100 * np.array([ap, area, fpr[np.argmax(tpr >= 0.95)] if (tpr >= 0.95).any() else 1.0])
