"""Random numbers that depend on the seed and the place in the training, and on nothing else.

A training that goes on from a checkpoint must draw what it would have drawn without the interruption. The
states of a dozen generators, those of the dataloader's workers among them, cannot be put back into processes
that prefetch. So they are no part of the state: every training step, and every item of a batch, sets Python's,
NumPy's and torch's generators to values that follow from the seed, the rank and the number of the step.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

STEP, ITEM, VALIDATION = range(3)  # what is drawn for: each has a stream of its own


def seed_all(*key: int) -> None:
    """Set the generators of Python, NumPy and torch (every device in use) by a key of whole numbers >= 0."""
    words = np.random.SeedSequence(key).generate_state(4, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(words[1:3].view(np.uint32))
    seed = int(words[3] >> np.uint64(1))
    # torch.manual_seed formats a stack trace where CUDA sleeps, some 100 us; this is called for every image
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized() and not torch.cuda._is_in_bad_fork():
        torch.cuda.manual_seed_all(seed)


class Batch(list):
    """Indices of a batch that know its number in the training."""

    number = 0


class SeededItems:
    """What a dataloader's worker calls for a batch (torch's ``__getitems__``): each item after `seed_all`.

    Args:
        dataset: The dataset, of items by index.
        seed: The training's.
        rank: This process's.
    """

    def __init__(self, dataset: Any, seed: int, rank: int) -> None:
        self.dataset, self.seed, self.rank = dataset, seed, rank

    def __call__(self, batch: Sequence[int]) -> list[Any]:
        items = []
        for place, index in enumerate(batch):
            seed_all(self.seed, ITEM, self.rank, getattr(batch, 'number', 0), place)
            items.append(self.dataset[index])
        return items


class ResumableBatchSampler:
    """Numbers the batches of another batch sampler, and passes over those that were trained already.

    Args:
        sampler: The stream of indices.
        batch_size: Images a batch.
        drop_last: Whether a last, smaller batch is left out.
        batch_sampler: Config of another batch sampler over the same stream.
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, drop_last: bool = False, batch_sampler: dict | None = None
    ) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        if batch_sampler is None:
            self.batches = BatchSampler(sampler, batch_size, drop_last)
        else:
            defaults = dict(sampler=sampler, batch_size=batch_size)
            self.batches = DATA_SAMPLERS.build(batch_sampler, default_args=defaults)
        self.number = 0
        self._epoch = 0
        self._begun: Iterator[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        batches, self._begun = self._begun or iter(self.batches), None
        for indices in batches:
            batch = Batch(indices)
            batch.number = self.number
            self.number += 1
            yield batch

    def begin(self, number: int, skip: int) -> None:
        """The next iteration passes over ``skip`` batches and numbers those that come from ``number`` on.

        Only indices are drawn. A finite stream begins again at its end, as the iteration-based loop reads it.
        """
        self.number = number
        batches = iter(self.batches)
        for _ in range(skip):
            if next(batches, None) is None:
                self.next_epoch()
                batches = iter(self.batches)
                if next(batches, None) is None:
                    raise ValueError('the training data has no batch')
        self._begun = batches

    def next_epoch(self) -> None:
        """Tell the stream that its next pass is another epoch."""
        self._epoch += 1
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(self._epoch)
