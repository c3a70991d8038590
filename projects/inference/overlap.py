"""Work on the images of a run side by side: some are read and written while others are in the network."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import torch

from ..files.images import ImageError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from ..files.sources import Item
    from .base import Inferencer
    from .results import Result

T = TypeVar('T')
R = TypeVar('R')

#: What is wrong with one image and not with the run. RuntimeError is what torch raises for a size that a model or the
#: memory does not take.
OF_AN_IMAGE = (ImageError, MemoryError, RuntimeError, cv2.error)
#: So many batches are looked through for images of one size.
WINDOW = 2
#: Threads that work by default at most; more of them wait for Python's lock.
MOST = 4


def default_workers(model: nn.Module, parallel: bool) -> int:
    """How many threads work on images: on a CPU one for each thread that torch has, up to `MOST`, where the model may
    be called by several at a time; else two, of which one prepares and draws while the other computes."""
    weights = next(model.parameters(), None)  # an exported model has none
    if parallel and weights is not None and weights.device.type == 'cpu':
        return max(1, min(MOST, torch.get_num_threads()))
    return min(2, os.cpu_count() or 1)


def in_order(
    items: Iterable[T], work: Callable[[list[T]], list[R]], count: int, workers: int, share: bool
) -> Iterator[R]:
    """What ``work`` makes of the items, ``count`` at a time, in their order.

    Items are drawn by the caller's thread, ahead of the results by one group more than there are workers. Leaving the
    iterator waits for what is being worked on.

    Args:
        items: They may take time to draw; so they are while the workers work.
        work: Results of a list of items, called by several threads at once.
        count: Items a group.
        workers: Threads; with one, ``work`` is called by the caller's thread and nothing is drawn ahead.
        share: Let the workers share torch's threads, in the place of each using all of them.
    """
    items = iter(items)
    if workers == 1:
        while group := list(islice(items, count)):
            yield from work(group)
        return
    threads = torch.get_num_threads()
    each = max(1, threads // workers) if share else threads
    pending: deque[Future] = deque()
    pool = ThreadPoolExecutor(workers, 'mmroad-infer', torch.set_num_threads, (each,))
    try:
        while True:
            while len(pending) <= workers and (group := list(islice(items, count))):
                pending.append(pool.submit(work, group))
            if not pending:
                return
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


class Batches:
    """An inferencer over a source, several images at a time.

    Args:
        inferencer: It.
        batch_size, workers: See `Inferencer.run`.
    """

    def __init__(self, inferencer: Inferencer, batch_size: int, workers: int) -> None:
        self.inferencer, self.batch_size, self.workers = inferencer, batch_size, workers

    def __call__(
        self, frames: Iterable[tuple[Item, str, np.ndarray]]
    ) -> Iterator[tuple[Item, str, Result | Exception]]:
        """Item, name and result of each frame, or what was wrong with it."""

        def work(group: list[tuple[Item, str, np.ndarray]]) -> list[tuple[Item, str, Result | Exception]]:
            results = self.inferencer.infer_all([(image, name) for _, name, image in group], self.batch_size)
            return [(item, name, result) for (item, name, _), result in zip(group, results)]

        count = 1 if self.batch_size == 1 else WINDOW * self.batch_size
        return in_order(frames, work, count, self.workers, self.inferencer.parallel)


def one_by_one(infer: Callable[[np.ndarray, str], R]) -> Callable[[Iterable], Iterator]:
    """A function of an image and its name over a source's frames."""

    def over(frames: Iterable[tuple[Item, str, np.ndarray]]) -> Iterator[tuple[Item, str, R | Exception]]:
        return ((item, name, attempt(infer, image, name)) for item, name, image in frames)

    return over


def attempt(function: Callable[..., T], *args: Any) -> T | Exception:
    """What a function returns, or what it raises because of an image (`OF_AN_IMAGE`)."""
    try:
        return function(*args)
    except OF_AN_IMAGE as error:
        return error
