"""Sorted runs of scores, in memory while they fit and on disk beyond that, read back range by range.

Files are written and read past the page cache where the file system allows it: finding memory for the
cache can take as long as the sorting.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ..files.replacing import own_name, remove_dead_parts

#: Bytes of scores that are held and sorted at a time.
BUFFER = 160_000_000
#: Scores of a range, roughly.
RANGE = 1 << 20
#: A run's index holds one of this many scores.
STRIDE = 4096
#: Direct reading and writing is aligned to multiples of this many bytes, in memory and in the file.
PAGE = 4096


class Bound(NamedTuple):
    """A cut between scores, as numpy's ``searchsorted`` takes it."""

    value: np.generic
    side: Literal['left', 'right']  #: ``left``: equal scores lie above; ``right``: below


class Tie(NamedTuple):
    """All scores of one value."""

    value: np.generic
    inliers: int
    outliers: int


@dataclass(frozen=True)
class Run:
    """Scores in rising order."""

    scores: np.ndarray | tuple[Path, int]  #: in memory, or the file and the byte where they begin
    count: int
    index: np.ndarray  #: every `STRIDE`-th score

    def read(self, begin: int, end: int) -> np.ndarray:
        """Scores from ``begin`` to before ``end``."""
        if isinstance(self.scores, np.ndarray):
            return self.scores[begin:end]
        path, offset = self.scores
        begin, end = (offset + place * self.index.itemsize for place in (begin, end))
        first = begin // PAGE * PAGE
        pages = _pages(end - first)
        file = _open(path, os.O_RDONLY)
        try:
            count = os.preadv(file, [pages], first)
        finally:
            os.close(file)
        if count < end - first:
            raise OSError(f'{path}: scores that were written there are gone')
        return pages[begin - first : end - first].view(self.index.dtype)

    def cut(self, bound: Bound) -> int:
        """How many scores lie below a bound."""
        block = max(int(np.searchsorted(self.index, bound.value, bound.side)) - 1, 0) * STRIDE
        scores = self.read(block, min(block + STRIDE, self.count))
        return block + int(np.searchsorted(scores, bound.value, bound.side))


class ScoreRuns:
    """Collects scores of inliers and outliers and gives them back in falling ranges.

    Args:
        folder: Where runs that do not fit in memory are kept; a temporary folder by default. What killed
            processes left there is removed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._parent = folder
        self._folder: RunsFolder | None = None
        self._written: list[tuple[Run, Run]] = []
        self._buffer: np.ndarray | None = None  # inliers from the front, outliers from the back
        self._held = (0, 0)

    def add(self, inlier: np.ndarray, outlier: np.ndarray) -> None:
        """Add scores, in any order; all of one type."""
        added = inlier.size + outlier.size
        if self._buffer is not None and sum(self._held) + added > len(self._buffer):
            self._write()
        if self._buffer is None or added > len(self._buffer):
            self._buffer = _pages(max(added * inlier.itemsize, BUFFER)).view(inlier.dtype)
        n, m = self._held
        self._buffer[n : n + inlier.size] = inlier
        self._buffer[len(self._buffer) - m - outlier.size : len(self._buffer) - m] = outlier
        self._held = n + inlier.size, m + outlier.size

    def written(self) -> list[tuple[Run, Run]]:
        """All runs of inliers and outliers, for `extend` in this or another process."""
        self._write()
        self._buffer = None
        return self._written

    def extend(self, written: list[tuple[Run, Run]]) -> None:
        """Add what another process has written."""
        self._written += written

    def falling(self) -> Iterator[Tie | tuple[list[np.ndarray], np.ndarray]]:
        """One range of scores after another, the highest first: inlier scores as a list of runs, outlier
        scores as one; each in rising order. Equal scores are in one range; too many for one are a `Tie`."""
        if self._written:
            self.written()  # gives the buffer's memory to the ranges
        classes = list(zip(*self._written, *self._sorted()))
        runs = [run for part in classes for run in part]
        sample = np.sort(np.concatenate([run.index for run in runs]))
        number = -(-sum(run.count for run in runs) // RANGE)
        picked = sample[np.linspace(0, len(sample) - 1, number + 1).astype(int)[1:-1]]
        bounds = []
        for value, count in zip(*np.unique(picked, return_counts=True)):  # one picked twice fills a range
            bounds += [Bound(value, 'left'), Bound(value, 'right')][: min(count, 2)]
        cuts = [[[0, *map(run.cut, bounds), run.count] for run in part] for part in classes]

        def read(k: int) -> Tie | list[list[np.ndarray]]:
            if 0 < k < len(bounds) and bounds[k].side == 'right':
                return Tie(bounds[k].value, *(sum(cut[k + 1] - cut[k] for cut in own) for own in cuts))
            pairs = (zip(part, own) for part, own in zip(classes, cuts))
            return [[run.read(cut[k], cut[k + 1]) for run, cut in pair] for pair in pairs]

        with ThreadPoolExecutor(1) as reader:  # the next range while this one is worked on
            ahead = reader.submit(read, len(bounds))
            for k in reversed(range(len(bounds) + 1)):
                found = ahead.result()
                ahead = reader.submit(read, k - 1) if k else ahead
                if isinstance(found, Tie):
                    yield found
                elif any(len(scores) for part in found for scores in part):
                    yield found[0], np.sort(np.concatenate(found[1]))

    def _sorted(self) -> list[tuple[Run, Run]]:
        """Runs of what is held, if anything is."""
        if self._buffer is None or not any(self._held):
            return []
        n, m = self._held
        parts = self._buffer[:n], self._buffer[len(self._buffer) - m :]
        for part in parts:
            part.sort()
        inlier, outlier = (Run(part, part.size, part[::STRIDE].copy()) for part in parts)
        return [(inlier, outlier)]

    def _write(self) -> None:
        buffer = self._buffer
        if buffer is None:
            return
        for inlier, outlier in self._sorted():
            if self._folder is None:
                self._folder = RunsFolder(self._parent)
            path = self._folder.path / f'{len(self._written):06d}'
            pages, size = buffer.view(np.uint8), buffer.itemsize
            begin = len(pages) - outlier.count * size  # of the outliers
            parts = pages[: _round_up(inlier.count * size)], pages[begin // PAGE * PAGE :]
            _write_pages(path, parts)
            place = len(parts[0]) + begin % PAGE
            self._written.append((replace(inlier, scores=(path, 0)), replace(outlier, scores=(path, place))))
        self._held = 0, 0


class RunsFolder:
    """A temporary folder that goes with this object, or else (see `remove_dead_parts`) with a later process that
    makes one beside it.

    Args:
        parent: Where it is made; the system's temporary folder by default.
    """

    def __init__(self, parent: str | Path | None = None) -> None:
        parent = Path(parent or tempfile.gettempdir())
        remove_dead_parts(parent)
        self._temporary = tempfile.TemporaryDirectory(
            prefix=own_name('scores-'), dir=parent, ignore_cleanup_errors=True
        )
        self.path = Path(self._temporary.name)


def _round_up(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _pages(size: int) -> np.ndarray:
    """At least ``size`` bytes, whole pages."""
    room = np.empty(_round_up(size) + PAGE, np.uint8)
    begin = -room.ctypes.data % PAGE
    return room[begin : begin + _round_up(size)]


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | getattr(os, 'O_DIRECT', 0), 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:  # how file systems without direct access answer
            raise
        return os.open(path, flags, 0o600)


def _write_pages(path: Path, parts: Sequence[np.ndarray]) -> None:
    try:
        file = _open(path, os.O_WRONLY | os.O_CREAT)
        try:
            for part in parts:
                while len(part):
                    part = part[os.write(file, part) :]
        finally:
            os.close(file)
    except OSError as error:
        hint = f'{error.strerror}; TMPDIR names another folder for anomaly scores'
        raise OSError(error.errno, hint, str(path)) from error
