"""How long work tells its progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Wraps what is gone through, given a title.
Track = Callable[[Sequence[Any], str], Iterable[Any]]


def silent(rows: Sequence[Any], title: str) -> Iterable[Any]:
    """Shows nothing."""
    return rows


def in_parallel(
    function: Callable[[Any], Any], rows: Sequence[Any], track: Track, title: str
) -> Iterator[Any]:
    """What a function gives for each row, in their order, from up to four threads."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for _, found in zip(track(rows, title), pool.map(function, rows)):
            yield found
