"""Sorted runs of scores, in memory while they fit and on disk beyond that, read back range by range."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Bytes of scores that are held and sorted at a time.
BUFFER = 160_000_000
#: Scores of a range, roughly.
RANGE = 1 << 20
#: A run's index has every so many-th score.
STRIDE = 4096


class Run(NamedTuple):
    """Scores in rising order."""

    scores: np.ndarray | tuple[Path, int]  #: in memory, or the file and the byte where they begin
    count: int
    index: np.ndarray  #: every `STRIDE`-th score

    def read(self, begin: int, end: int) -> np.ndarray:
        """Scores from ``begin`` to before ``end``."""
        if isinstance(self.scores, np.ndarray):
            return self.scores[begin:end]
        path, offset = self.scores
        dtype = self.index.dtype
        scores = np.fromfile(path, dtype, end - begin, offset=offset + begin * dtype.itemsize)
        if len(scores) != end - begin:
            raise OSError(f'{path}: scores that were written there are gone')
        return scores

    def cut(self, bounds: np.ndarray) -> list[int]:
        """How many scores lie below each bound."""
        blocks = np.maximum(np.searchsorted(self.index, bounds) - 1, 0) * STRIDE
        return [
            int(block + np.searchsorted(self.read(block, min(block + STRIDE, self.count)), bound))
            for block, bound in zip(blocks, bounds)
        ]


class ScoreRuns:
    """Collects scores of inliers and outliers and gives them back in falling ranges.

    Args:
        folder: Where runs that do not fit in memory are kept; a temporary folder by default.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self._written: list[tuple[Run, Run]] = []
        self._buffer: np.ndarray | None = None  # inliers from the front, outliers from the back
        self._held = (0, 0)

    def add(self, inlier: np.ndarray, outlier: np.ndarray) -> None:
        """Add scores, in any order; all of one type."""
        added = inlier.size + outlier.size
        if self._buffer is not None and sum(self._held) + added > len(self._buffer):
            self._write()
        if self._buffer is None:
            self._buffer = np.empty(max(added, BUFFER // inlier.itemsize), inlier.dtype)
        n, m = self._held
        self._buffer[n : n + inlier.size] = inlier
        self._buffer[len(self._buffer) - m - outlier.size : len(self._buffer) - m] = outlier
        self._held = n + inlier.size, m + outlier.size

    def written(self) -> list[tuple[Run, Run]]:
        """All runs of inliers and outliers, for `extend` in this or another process."""
        self._write()
        return self._written

    def extend(self, written: list[tuple[Run, Run]]) -> None:
        """Add what another process has written."""
        self._written += written

    def falling(self) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """One range of scores after another, the highest first: inlier scores as a list of runs, outlier
        scores as one; each in rising order. Equal scores are in one range."""
        classes = list(zip(*self._written, *self._sorted()))
        runs = [run for part in classes for run in part]
        sample = np.sort(np.concatenate([run.index for run in runs]))
        number = -(-sum(run.count for run in runs) // RANGE)
        bounds = np.unique(sample[np.linspace(0, len(sample) - 1, number + 1).astype(int)[1:-1]])
        cuts = [[[0, *run.cut(bounds), run.count] for run in part] for part in classes]
        for k in reversed(range(len(bounds) + 1)):
            inlier, outlier = (
                [run.read(cut[k], cut[k + 1]) for run, cut in zip(part, own)]
                for part, own in zip(classes, cuts)
            )
            yield inlier, np.sort(np.concatenate(outlier))

    def _sorted(self) -> list[tuple[Run, Run]]:
        """Runs of what is held, if anything is."""
        if self._buffer is None:
            return []
        n, m = self._held
        parts = self._buffer[:n], self._buffer[len(self._buffer) - m :]
        for part in parts:
            part.sort()
        return [tuple(Run(part, part.size, part[::STRIDE].copy()) for part in parts)]

    def _write(self) -> None:
        for inlier, outlier in self._sorted():
            path = Path(self._folder.name, f'{len(self._written):06d}')
            with open(path, 'wb') as file:
                inlier.scores.tofile(file)
                outlier.scores.tofile(file)
            places = (path, 0), (path, inlier.scores.nbytes)
            self._written.append((inlier._replace(scores=places[0]), outlier._replace(scores=places[1])))
        self._buffer, self._held = None, (0, 0)
