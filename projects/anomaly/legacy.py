"""The numbers of Meta-OOD's evaluation and of AbeT's fork of it, from 100-bin histograms.

They are approximations, kept to compare with published figures; `mmroad.anomaly.pixel` is exact.
Scores outside [0, 1] fall out of the histograms, as they do there: how many is part of the result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .values import by_class, widened

EDGES = np.linspace(0, 1, 101)


class LegacyScores(NamedTuple):
    """What the histograms score. Meta-OOD and AbeT differ in the ROC point they report."""

    auroc: float
    auprc: float
    meta_ood_fpr95: float  #: at the ROC point with TPR nearest 0.95
    meta_ood_tpr95: float  #: the TPR that this point really has
    abet_fpr95: float  #: at the point before it if its TPR is 1
    abet_tpr95: float
    abet_threshold: float
    dropped_in: int  #: pixels of scores outside [0, 1]
    dropped_out: int
    dropped_fraction: float  #: of all labeled pixels


class LegacyHistogram:
    """Counts scores of inliers and outliers in 100 bins, image by image."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, 100), np.int64)  #: inliers, outliers
        self.pixels = np.zeros(2, np.int64)

    def add(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add an image (see `by_class`)."""
        for value, part in enumerate(by_class(scores, labels)):
            self.counts[value] += np.histogram(widened(part), EDGES)[0]
            self.pixels[value] += part.size

    def merge(self, other: LegacyHistogram) -> None:
        """Add what another collector has counted."""
        self.counts += other.counts
        self.pixels += other.pixels

    def compute(self) -> LegacyScores:
        """The scores of all that was added.

        Raises:
            ValueError: A class has no scores in [0, 1].
        """
        if not self.counts.any(1).all():
            raise ValueError(
                f'legacy_hist needs inlier and outlier scores in [0, 1]; there are {self.counts.sum(1)}, '
                f'{self.pixels - self.counts.sum(1)} outside'
            )
        auroc, points = self._roc()
        nearest = int(np.abs(points[1] - 0.95).argmin())
        before = nearest - (points[1, nearest] == 1)
        dropped = self.pixels - self.counts.sum(1)
        return LegacyScores(
            auroc,
            self._auprc(),
            *points[:2, nearest].tolist(),  # type: ignore[call-arg]  # two, three and two numbers
            *points[:, before].tolist(),
            *dropped.tolist(),
            float(dropped.sum() / self.pixels.sum()),
        )

    def _roc(self) -> tuple[float, np.ndarray]:
        """The area, and FPR, TPR and threshold (a bin's upper edge) of the points that scikit-learn
        keeps by default. Each class is scaled to 1e5 samples, cut to whole ones."""
        samples = (self.counts / self.counts.sum(1, keepdims=True) * 1e5).astype(np.int64)
        bins = np.flatnonzero(samples.any(0))[::-1]
        steps = samples[:, bins]
        fp, tp = np.cumsum(steps, 1)
        kept = np.ones(len(bins), bool)
        kept[1:-1] = (steps[:, 1:-1] != steps[:, 2:]).any(0)  # the middles of equal steps are dropped
        fpr, tpr = (np.append(0, x[kept] / x[-1]) for x in (fp, tp))
        thresholds = np.append(np.inf, (bins[kept] + 1) / 100)
        area = np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)
        return float(area), np.stack([fpr, tpr, thresholds])

    def _auprc(self) -> float:
        """Step-wise average precision of 1e7 samples at the natural ratio."""
        totals = self.counts.sum(1, keepdims=True)
        share = totals[0] / totals.sum()
        wanted = 1e7 * np.stack([share, 1 - share])  # in this order: where it is cut depends on rounding
        samples = (self.counts / totals * wanted).astype(np.int64)[:, ::-1]
        fp, tp = np.cumsum(samples, 1)
        gained = samples[1] > 0
        return float(np.sum(samples[1, gained] / tp[-1] * tp[gained] / (tp + fp)[gained]))
