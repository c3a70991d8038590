"""AP, AUROC and FPR95 over all pixels of a data set, in one pass and in memory that does not grow.

Every distinct score is a threshold, so ties are exact. Scores of 16 bits are counted in 65,536 bins.
Wider ones are kept, sorted and without repeats, in runs on disk; at the end the runs are merged in
ranges of scores that fit memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Label values of a mask; everything else is left out.
INLIER, OUTLIER = 0, 1
#: The share of outliers that FPR95 lets be found.
RECALL = 0.95
#: Distinct scores merged at a time.
RANGE = 1 << 21

_UNSIGNED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


class Point(NamedTuple):
    """A point of the ROC curve."""

    fpr: float
    tpr: float
    threshold: float


class PixelScores(NamedTuple):
    """What a data set scores; NaN and None where a class is missing (``note`` says which)."""

    ap: float  #: average precision, scikit-learn's step sum, outliers positive
    auroc: float  #: area under the ROC curve, by trapezoids
    fpr95: Point | None  #: first point with TPR >= 0.95
    fpr95_gt: Point | None  #: first point with TPR > 0.95
    fpr95_nearest: Point | None  #: point with TPR nearest 0.95, the first of equals
    fpr95_rba: float  #: first point with TPR > 0.95 of scikit-learn's thinned curve, as RbA reports
    inliers: int
    outliers: int
    ignored: int
    note: str = ''


class PixelMetrics:
    """Collects scores and labels image by image.

    Args:
        folder: Where runs of wide scores are kept; a temporary folder by default.

    Example:
        >>> metrics = PixelMetrics()
        >>> metrics.add(np.float32([[0.1, 0.9]]), np.uint8([[0, 1]]))
        >>> metrics.compute().auroc
        1.0
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._own = tempfile.TemporaryDirectory(dir=folder)
        self.folder = Path(self._own.name)
        self.dtype: np.dtype | None = None
        self.counts: np.ndarray | None = None  # (2, 65536) of 16-bit scores
        self.runs: list[Path] = []
        self.inliers = self.outliers = self.ignored = 0

    def add(self, scores: np.ndarray, labels: np.ndarray, name: str = 'the image') -> None:
        """Add an image.

        Args:
            scores: (H, W), higher is more anomalous; float16, float32, float64 or an integer type.
            labels: (H, W), 0 inlier, 1 outlier, anything else left out.
            name: For messages.

        Raises:
            ValueError: Other shapes, another type than before, or scores that are not numbers.
        """
        scores, labels = np.asarray(scores), np.asarray(labels)
        if scores.shape != labels.shape:
            raise ValueError(f'{name}: scores of {scores.shape} but labels of {labels.shape}')
        if scores.dtype.itemsize == 1:
            scores = scores.astype(np.int16)
        if self.dtype is None:
            self.dtype = scores.dtype
        if scores.dtype != self.dtype:
            raise ValueError(f'{name}: scores are {scores.dtype}, those before were {self.dtype}')
        parts = [scores[labels == value] for value in (INLIER, OUTLIER)]
        if scores.dtype.kind == 'f' and any(np.isnan(part).any() for part in parts):
            raise ValueError(f'{name}: anomaly scores that are not numbers (NaN)')
        self.inliers += parts[0].size
        self.outliers += parts[1].size
        self.ignored += labels.size - parts[0].size - parts[1].size
        codes = [_encode(part) for part in parts]
        if self.dtype.itemsize == 2:
            if self.counts is None:
                self.counts = np.zeros((2, 1 << 16), np.int64)
            for row, code in enumerate(codes):
                self.counts[row] += np.bincount(code, minlength=1 << 16)
        else:
            self._spill(codes)

    def _spill(self, codes: list[np.ndarray]) -> None:
        """Write one run: distinct codes in rising order with their counts in both classes."""
        inlier, outlier = (_unique(code) for code in codes)
        code = np.union1d(inlier[0], outlier[0])
        counts = np.zeros((2, len(code)), np.uint32)
        for row, (values, number) in enumerate((inlier, outlier)):
            counts[row, np.searchsorted(code, values)] = number
        path = self.folder / f'{len(self.runs):06d}'
        np.save(f'{path}.code.npy', code)
        np.save(f'{path}.count.npy', counts)
        self.runs.append(path)

    def merge(self, other: PixelMetrics) -> None:
        """Take over what another collector has (of another process: its folder must be reachable)."""
        if other.dtype is None:
            return
        if self.dtype not in (None, other.dtype):
            raise ValueError(f'scores of {self.dtype} and {other.dtype} cannot be joined')
        self.dtype = other.dtype
        self.runs += other.runs
        if other.counts is not None:
            self.counts = other.counts + (0 if self.counts is None else self.counts)
        self.inliers += other.inliers
        self.outliers += other.outliers
        self.ignored += other.ignored

    def compute(self) -> PixelScores:
        """The scores of all that was added."""
        seen = (self.inliers, self.outliers, self.ignored)
        if not self.inliers or not self.outliers:
            missing = ' and '.join(n for n, k in (('inlier', seen[0]), ('outlier', seen[1])) if not k)
            nan = float('nan')
            return PixelScores(
                nan, nan, None, None, None, nan, *seen, f'no {missing} pixels: nothing can be scored'
            )
        curve = _Curve(self.inliers, self.outliers)
        for code, counts in self._falling():
            curve.extend(_decode(code, self.dtype), counts[1].astype(np.int64), counts[0].astype(np.int64))
        return curve.scores(seen)

    def _falling(self):
        """Distinct codes in falling order with their counts (2, n), range by range."""
        if self.counts is not None:
            code = np.flatnonzero(self.counts.any(0))[::-1]
            yield code.astype(np.uint16), self.counts[:, code]
            return
        codes, counts = (
            [np.load(f'{run}.{kind}.npy', mmap_mode='r') for run in self.runs] for kind in ('code', 'count')
        )
        bounds = _bounds(codes)
        for low, high in zip(bounds[-2::-1], bounds[:0:-1]):
            cuts = [(np.searchsorted(c, low), np.searchsorted(c, high)) for c in codes]
            part = np.concatenate([c[a:b] for c, (a, b) in zip(codes, cuts)])
            number = np.concatenate([n[:, a:b] for n, (a, b) in zip(counts, cuts)], 1)
            code, place = np.unique(part, return_inverse=True)
            total = np.stack([np.bincount(place, row, len(code)) for row in number])
            yield code[::-1], total[:, ::-1]


def _bounds(codes: list[np.ndarray]) -> list[int]:
    """Rising bounds [b0, b1), [b1, b2), ... of ranges with about ``RANGE`` entries each."""
    total = sum(len(c) for c in codes)
    parts = max(1, -(-total // RANGE))
    step = max(1, total // 65536)
    sample = np.sort(np.concatenate([np.asarray(c[::step]) for c in codes]))
    inner = sample[np.linspace(0, len(sample) - 1, parts + 1).astype(int)[1:-1]]
    low = min(int(c[0]) for c in codes if len(c))
    high = max(int(c[-1]) for c in codes if len(c)) + 1
    if high > np.iinfo(codes[0].dtype).max:
        high = np.iinfo(codes[0].dtype).max  # a NaN's code, which no score has
    return sorted({low, high, *map(int, inner)})


class _Curve:
    """The ROC curve's points in falling order of thresholds, of which only sums are kept."""

    def __init__(self, negatives: int, positives: int) -> None:
        self.negatives, self.positives = negatives, positives
        self.tp = self.fp = 0
        self.ap = self.area = 0.0
        self.first: dict[str, Point] = {}
        self.nearest = Point(0.0, 0.0, float('inf'))
        self._last = np.zeros((0, 3))  # up to two points before, for the thinned curve
        self.thinned: float | None = None

    def extend(self, thresholds: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> None:
        tp, fp = self.tp + np.cumsum(positives), self.fp + np.cumsum(negatives)
        before_tp = np.concatenate([[self.tp], tp[:-1]])
        self.ap += float(np.sum(positives / self.positives * (tp / (tp + fp))))
        self.area += float(np.sum(negatives * (before_tp + tp) / 2.0))
        tpr, fpr = tp / self.positives, fp / self.negatives
        for key, reached in (('ge', tpr >= RECALL), ('gt', tpr > RECALL)):
            if key not in self.first and reached.any():
                i = int(reached.argmax())
                self.first[key] = Point(float(fpr[i]), float(tpr[i]), float(thresholds[i]))
        i = int(np.abs(tpr - RECALL).argmin())
        if abs(tpr[i] - RECALL) < abs(self.nearest.tpr - RECALL):
            self.nearest = Point(float(fpr[i]), float(tpr[i]), float(thresholds[i]))
        self._thin(tp, fp)
        self.tp, self.fp = int(tp[-1]), int(fp[-1])

    def _thin(self, tp: np.ndarray, fp: np.ndarray) -> None:
        """First point with TPR > 0.95 among those that scikit-learn's ``drop_intermediate`` keeps: the
        ends, and points where a step differs from the one before."""
        points = np.concatenate([self._last, np.stack([tp, fp, np.zeros(len(tp))], 1)])
        if self.thinned is None and len(points) > 2:
            bend = np.diff(points[:, :2], 2, axis=0).any(1)
            found = bend & (points[1:-1, 0] / self.positives > RECALL)
            if found.any():
                self.thinned = float(points[1:-1, 1][found.argmax()] / self.negatives)
        self._last = points[-2:]

    def scores(self, seen: tuple[int, int, int]) -> PixelScores:
        thinned = 1.0 if self.thinned is None else self.thinned  # the last point is always kept
        return PixelScores(
            ap=self.ap,
            auroc=self.area / (self.positives * self.negatives),
            fpr95=self.first['ge'],
            fpr95_gt=self.first['gt'],
            fpr95_nearest=self.nearest,
            fpr95_rba=thinned,
            inliers=seen[0],
            outliers=seen[1],
            ignored=seen[2],
        )


def _encode(values: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the values (-0.0 as 0.0)."""
    unsigned = _UNSIGNED[values.dtype.itemsize]
    if values.dtype.kind == 'u':
        return values
    top = unsigned(1) << unsigned(8 * values.dtype.itemsize - 1)
    if values.dtype.kind == 'i':
        return values.view(unsigned) ^ top
    bits = (values + values.dtype.type(0)).view(unsigned)
    return np.where(bits & top, ~bits, bits | top)


def _decode(codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values that `_encode` gave these codes for."""
    unsigned = _UNSIGNED[dtype.itemsize]
    codes = codes.astype(unsigned)
    if dtype.kind == 'u':
        return codes
    top = unsigned(1) << unsigned(8 * dtype.itemsize - 1)
    if dtype.kind == 'i':
        return (codes ^ top).view(dtype)
    return np.where(codes & top, codes & ~top, ~codes).astype(unsigned).view(dtype)


def _unique(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes = np.sort(codes)
    first = (
        np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]])) if len(codes) else np.zeros(0, int)
    )
    return codes[first], np.diff(np.append(first, len(codes)))
