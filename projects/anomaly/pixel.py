"""AP, AUROC and FPR95 over all pixels of a data set, in one pass and in memory that does not grow.

Every distinct score is a threshold, so ties are exact. Scores of 16 bits are counted in 65,536 bins.
Wider ones are sorted image by image into runs on disk; at the end the runs are merged in ranges of
scores that fit memory. The sums then need the outliers' distinct scores only, and how many inliers lie
above each.
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
#: Cells per axis of which each keeps one point of the curve.
CELLS = 500
#: Scores merged at a time.
RANGE = 1 << 20


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
    curve: tuple[Point, ...] = ()  #: about a thousand points of the ROC curve, thresholds falling

    def precision(self, point: Point) -> float:
        """The share of outliers among the pixels from a point's threshold up."""
        found = point.tpr * self.outliers
        return found / (found + point.fpr * self.inliers)


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
        self.runs: list[tuple[Path, int, int]] = []  # file, inliers, outliers in it
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
        if scores.dtype.itemsize == 1:  # counted as 16 bits
            scores = scores.astype(np.int16)
        if self.dtype is None:
            self.dtype = scores.dtype
        if scores.dtype != self.dtype:
            raise ValueError(f'{name}: scores are {scores.dtype}, those before were {self.dtype}')
        parts = [scores[labels == value] for value in (INLIER, OUTLIER)]
        if scores.dtype.itemsize == 2:
            if scores.dtype.kind == 'f' and any(np.isnan(part).any() for part in parts):
                raise ValueError(f'{name}: anomaly scores that are not numbers (NaN)')
            if self.counts is None:
                self.counts = np.zeros((2, 1 << 16), np.int64)
            for row, part in zip(self.counts, parts):
                row += np.bincount(_encode(part), minlength=1 << 16)
        else:
            for part in parts:
                part.sort()
                if part.size and part[-1] != part[-1]:  # NaN sorts last
                    raise ValueError(f'{name}: anomaly scores that are not numbers (NaN)')
            path = self.folder / f'{len(self.runs):06d}'
            with open(path, 'wb') as file:
                for part in parts:
                    part.tofile(file)
            self.runs.append((path, *(part.size for part in parts)))
        self.inliers += parts[0].size
        self.outliers += parts[1].size
        self.ignored += labels.size - parts[0].size - parts[1].size

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
        if self.counts is not None:
            code = np.flatnonzero(self.counts.any(0))[::-1]
            inlier, outlier = self.counts[:, code]
            curve.extend(_decode(code, self.dtype), outlier, inlier)
        else:
            for inlier, outlier in self._falling():
                curve.extend_sorted(inlier, outlier)
        return curve.scores(seen)

    def _falling(self):
        """Inlier and outlier scores, each in rising order, of one range of scores after another, the
        highest first. Equal scores are in one range. The next range overwrites the arrays."""
        parts = [[(path, 0, n) for path, n, _ in self.runs], [(path, n, m) for path, n, m in self.runs]]
        total = self.inliers + self.outliers
        step = max(1, total // 65536)
        sample = np.sort(
            np.concatenate([np.array(self._map(p)[step // 2 :: step]) for part in parts for p in part])
        )
        number = max(1, -(-total // RANGE))
        bounds = np.unique(sample[np.linspace(0, len(sample) - 1, number + 1).astype(int)[1:-1]])
        cuts = [[[0, *np.searchsorted(self._map(p), bounds), p[2]] for p in part] for part in parts]
        sizes = [np.diff(cut).sum(0) for cut in cuts]
        buffers = [np.empty(size.max(), self.dtype) for size in sizes]
        for k in reversed(range(len(bounds) + 1)):
            merged = tuple(buffer[: size[k]] for buffer, size in zip(buffers, sizes))
            for values, part, cut in zip(merged, parts, cuts):
                filled = 0
                for p, c in zip(part, cut):
                    filled += self._read(p, c[k], values[filled : filled + c[k + 1] - c[k]])
                values.sort()
            yield merged

    def _map(self, part: tuple[Path, int, int]) -> np.ndarray:
        """Sorted scores of a run, mapped: the memory goes with the array."""
        path, start, count = part
        if not count:
            return np.empty(0, self.dtype)
        return np.memmap(path, self.dtype, 'r', offset=start * self.dtype.itemsize, shape=(count,))

    def _read(self, part: tuple[Path, int, int], begin: int, out: np.ndarray) -> int:
        """Fill ``out`` with a run's values from ``begin`` on; returns how many."""
        path, start, _ = part
        with open(path, 'rb') as file:
            file.seek((start + begin) * self.dtype.itemsize)
            if file.readinto(memoryview(out).cast('B')) != out.nbytes:
                raise OSError(f'{path}: scores that were written there are gone')
        return len(out)


class _Curve:
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
        """Distinct thresholds in falling order with what they add of both classes."""
        present = positives > 0
        above = np.cumsum(negatives)
        self._add(thresholds[present], positives[present], above[present], (above - negatives)[present])
        self._thin(positives, negatives)
        self.tp, self.fp = self.tp + int(positives.sum()), self.fp + int(negatives.sum())

    def extend_sorted(self, inlier: np.ndarray, outlier: np.ndarray) -> None:
        """The next lower range of scores, each class in rising order."""
        first = np.flatnonzero(np.concatenate([[True], outlier[1:] != outlier[:-1]]) if len(outlier) else [])
        values, counts = outlier[first][::-1], np.diff(np.append(first, len(outlier)))[::-1]
        begin = np.searchsorted(inlier, values[::-1])[::-1]
        end, tied = begin.copy(), begin < len(inlier)
        tied[tied] = inlier[begin[tied]] == values[tied]
        end[tied] = np.searchsorted(inlier, values[tied][::-1], 'right')[::-1]
        self._add(values, counts, len(inlier) - begin, len(inlier) - end)
        if self.thinned is None and (self._step or (self.tp + len(outlier)) / self.positives > RECALL):
            self._thin_sorted(inlier, outlier)
        self.tp, self.fp = self.tp + len(outlier), self.fp + len(inlier)

    def _add(self, values: np.ndarray, counts: np.ndarray, above: np.ndarray, strictly: np.ndarray) -> None:
        """Outliers' distinct scores in falling order, their counts, and this range's inliers from and
        strictly above each."""
        if not len(values):
            return
        tp, fp = self.tp + np.cumsum(counts), self.fp + above
        self.ap += float(np.sum(counts / self.positives * (tp / (tp + fp))))
        self.area += float(np.sum(counts * (self.negatives - fp + (above - strictly) / 2)))
        tpr, fpr = tp / self.positives, fp / self.negatives
        cells = np.stack([tpr, fpr]) * CELLS // 1
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
            ap=self.ap,
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


TOP = np.uint16(1 << 15)


def _encode(values: np.ndarray) -> np.ndarray:
    """Unsigned 16-bit integers in the order of 16-bit values (-0.0 as 0.0)."""
    if values.dtype.kind == 'u':
        return values
    if values.dtype.kind == 'i':
        return values.view(np.uint16) ^ TOP
    bits = (values + np.float16(0)).view(np.uint16)
    return np.where(bits & TOP, ~bits, bits | TOP)


def _decode(codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values that `_encode` gave these codes for."""
    codes = codes.astype(np.uint16)
    if dtype.kind == 'u':
        return codes
    if dtype.kind == 'i':
        return (codes ^ TOP).view(dtype)
    return np.where(codes & TOP, codes & ~TOP, ~codes).astype(np.uint16).view(dtype)
