"""AP, AUROC and FPR95 over all pixels of a data set, in one pass and in memory that does not grow.

Every distinct score is a threshold, so ties are exact. Scores of 16 bits are counted in 65,536 bins.
Wider ones are sorted into runs (runs.py). The sums need the outliers' distinct scores only, and how many
inliers lie above each (curve.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .curve import RocCurve
from .result import PixelScores
from .runs import Run, ScoreRuns, Tie
from .values import by_class


class Part(NamedTuple):
    """The counts of one process, which `PixelMetrics.merge` joins with those of others."""

    dtype: np.dtype | None
    counts: np.ndarray | None  #: (2, 65536) of 16-bit scores, inliers and outliers
    runs: list[tuple[Run, Run]]  #: of wider ones
    inliers: int
    outliers: int
    ignored: int


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
        self.dtype: np.dtype | None = None
        self.counts: np.ndarray | None = None
        self.runs = ScoreRuns(folder)
        self.inliers = self.outliers = self.ignored = 0

    def add(self, scores: np.ndarray, labels: np.ndarray, name: str = 'the image') -> None:
        """Add an image.

        Args:
            scores, labels, name: See `by_class`.

        Raises:
            ValueError: As there, and for scores of another type than before.
        """
        parts = by_class(scores, labels, name)
        if parts[0].dtype.itemsize == 1:  # counted as 16 bits
            parts = parts[0].astype(np.int16), parts[1].astype(np.int16)
        dtype = parts[0].dtype
        if self.dtype not in (None, dtype):
            raise ValueError(f'{name}: scores are {dtype}, those before were {self.dtype}')
        self.dtype = dtype
        if dtype.itemsize == 2:
            if self.counts is None:
                self.counts = np.zeros((2, 1 << 16), np.int64)
            for row, part in zip(self.counts, parts):
                row += np.bincount(_encode(part), minlength=1 << 16)
        else:
            self.runs.add(*parts)
        self.inliers += parts[0].size
        self.outliers += parts[1].size
        self.ignored += np.size(labels) - parts[0].size - parts[1].size

    def part(self) -> Part:
        """What was counted, for `merge` in this or another process that reaches the folder.
        The files go with this object."""
        return Part(self.dtype, self.counts, self.runs.written(), self.inliers, self.outliers, self.ignored)

    def merge(self, other: Part) -> None:
        """Take over what another collector has counted.

        Raises:
            ValueError: Its scores are of another type.
        """
        if other.dtype is None:
            return
        if self.dtype not in (None, other.dtype):
            raise ValueError(f'scores of {self.dtype} and {other.dtype} cannot be joined')
        self.dtype = other.dtype
        self.runs.extend(other.runs)
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
            left_out = f'; {self.ignored} are left out (255 in masks)' if self.ignored else ''
            return PixelScores(
                nan,
                nan,
                None,
                None,
                None,
                nan,
                *seen,
                f'no {missing} pixels: nothing can be scored{left_out}',
            )
        curve = RocCurve(self.inliers, self.outliers)
        if self.counts is not None and self.dtype is not None:
            code = np.flatnonzero(self.counts.any(0))[::-1]
            inlier, outlier = self.counts[:, code]
            curve.extend(_decode(code, self.dtype), outlier, inlier)
        else:
            for found in self.runs.falling():
                if isinstance(found, Tie):
                    curve.extend(
                        *(np.array([number]) for number in (found.value, found.outliers, found.inliers))
                    )
                else:
                    curve.extend_sorted(*found)
        return curve.scores(seen)


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
