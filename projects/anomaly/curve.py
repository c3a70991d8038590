"""What is read off the ROC curve of anomaly scores, from one range of scores after another."""

from __future__ import annotations

import numpy as np

from .result import PixelScores, Point

#: The share of outliers that must be found for FPR95.
RECALL = 0.95
#: The curve that is kept has one point in each cell of a grid with this many cells per axis.
CELLS = 500
#: Looking up one score by bisection takes about as long as sorting this many.
LOOKUP = 5


class RocCurve:
    """The ROC curve's points in falling order of thresholds, of which only sums are kept."""

    def __init__(self, negatives: int, positives: int) -> None:
        self.negatives, self.positives = negatives, positives
        self.tp = self.fp = 0
        self.ap = self.area = 0.0
        self.first: dict[str, Point] = {}
        self.nearest = Point(0.0, 0.0, float('inf'))
        self.points: list[Point] = []
        self.thinned: float | None = None
        self._step: tuple[int, int] | None = None  # the last step of a point that may be thinned

    def extend(self, thresholds: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> None:
        """Add distinct thresholds in falling order, with the numbers of outliers and inliers at each."""
        present = positives > 0
        above = np.cumsum(negatives)
        self._add(thresholds[present], positives[present], above[present], (above - negatives)[present])
        self._thin(positives, negatives)
        self.tp, self.fp = self.tp + int(positives.sum()), self.fp + int(negatives.sum())

    def extend_sorted(self, inliers: list[np.ndarray], outlier: np.ndarray) -> None:
        """Add the next lower range of scores, each array in rising order."""
        first = np.flatnonzero(np.append(True, outlier[1:] != outlier[:-1])[: len(outlier)])
        values, counts = outlier[first], np.diff(np.append(first, len(outlier)))
        number = sum(map(len, inliers))
        thin = self.thinned is None and (self._step or (self.tp + len(outlier)) / self.positives > RECALL)
        if thin or LOOKUP * len(values) * (len(inliers) - 1) > number:
            inliers = [np.sort(np.concatenate(inliers))]
        below, upto = np.zeros((2, len(values)), np.int64)  # inliers below and up to each value
        for run in filter(len, inliers):
            place = np.searchsorted(run, values)
            below += place
            tied = np.flatnonzero(run.take(place, mode='clip') == values)
            place[tied] = np.searchsorted(run, values[tied], 'right')
            upto += place
        self._add(values[::-1], counts[::-1], (number - below)[::-1], (number - upto)[::-1])
        if thin:
            self._thin_sorted(inliers[0], outlier)
        self.tp, self.fp = self.tp + len(outlier), self.fp + number

    def _add(self, values: np.ndarray, counts: np.ndarray, above: np.ndarray, strictly: np.ndarray) -> None:
        """Outliers' distinct scores in falling order, their counts, and this range's inliers from and
        strictly above each."""
        if not len(values):
            return
        tp, fp = self.tp + np.cumsum(counts), self.fp + above
        self.ap += float(np.sum(counts * (tp / (tp + fp))))
        self.area += float(np.sum(counts * (self.negatives - fp + (above - strictly) / 2)))
        tpr, fpr = tp / self.positives, fp / self.negatives
        cells = (np.stack([tpr, fpr]) * CELLS).astype(int)
        kept = np.append(True, (cells[:, 1:] != cells[:, :-1]).any(0))
        self.points += (Point(*map(float, p)) for p in zip(fpr[kept], tpr[kept], values[kept]))
        for key, reached in (('ge', tpr >= RECALL), ('gt', tpr > RECALL)):
            if key not in self.first and reached.any():
                i = int(reached.argmax())
                self.first[key] = Point(float(fpr[i]), float(tpr[i]), float(values[i]))
        i = int(np.abs(tpr - RECALL).argmin())
        if abs(tpr[i] - RECALL) < abs(self.nearest.tpr - RECALL):
            self.nearest = Point(float(fpr[i]), float(tpr[i]), float(values[i]))

    def _thin_sorted(self, inlier: np.ndarray, outlier: np.ndarray) -> None:
        """`_thin` over growing numbers of distinct scores, of which the first few mostly suffice."""
        if self._step is None:  # start at the first point above the recall
            needed = int(np.floor(RECALL * self.positives)) + 1 - self.tp
            start = outlier[len(outlier) - needed]
        else:
            start = max(part[-1] for part in (inlier, outlier) if len(part))
        ends = [np.searchsorted(part, start, 'right') for part in (inlier, outlier)]
        skipped = [len(inlier) - ends[0], len(outlier) - ends[1]]
        width = 256
        while self.thinned is None and any(ends):
            low = max(part[max(0, end - width)] for part, end in zip((inlier, outlier), ends) if end)
            begins = [np.searchsorted(part, low) for part in (inlier, outlier)]
            window = [part[a:b] for part, a, b in zip((inlier, outlier), begins, ends)]
            values = np.union1d(*window)
            negative, positive = (
                np.diff(np.append(np.searchsorted(part, values), len(part)))[::-1] for part in window
            )
            self._thin(positive, negative, *skipped)
            skipped = [k + len(part) for k, part in zip(skipped, window)]
            ends, width = begins, 4 * width

    def _thin(
        self, positives: np.ndarray, negatives: np.ndarray, skipped_fp: int = 0, skipped_tp: int = 0
    ) -> None:
        """First point with TPR > 0.95 among those that scikit-learn's ``drop_intermediate`` keeps: the
        ends, and points where the next step differs from the last."""
        tp = self.tp + skipped_tp + np.cumsum(positives)
        fp = self.fp + skipped_fp + np.cumsum(negatives)
        if self.thinned is None and self._step and self._step != (int(positives[0]), int(negatives[0])):
            self.thinned = float((fp[0] - negatives[0]) / self.negatives)
        reached = tp / self.positives > RECALL
        if self.thinned is None and reached.any():
            steps = np.stack([positives, negatives], 1)
            bend = np.append((steps[1:] != steps[:-1]).any(1), False) & reached
            if bend.any():
                self.thinned = float(fp[bend.argmax()] / self.negatives)
            self._step = int(positives[-1]), int(negatives[-1])

    def scores(self, seen: tuple[int, int, int]) -> PixelScores:
        thinned = 1.0 if self.thinned is None else self.thinned  # the last point is always kept
        return PixelScores(
            ap=self.ap / self.positives,
            auroc=self.area / (self.positives * self.negatives),
            fpr95=self.first['ge'],
            fpr95_gt=self.first['gt'],
            fpr95_nearest=self.nearest,
            fpr95_rba=thinned,
            inliers=seen[0],
            outliers=seen[1],
            ignored=seen[2],
            curve=tuple(self.points),
        )
