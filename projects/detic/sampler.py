"""Mixing datasets by ratio, in batches of one dataset and one orientation."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from torch import Tensor
from torch.utils.data import BatchSampler, Sampler


def repeat_factors(categories: Sequence[set[int]], threshold: float) -> Tensor:
    """(n,) the largest max(1, sqrt(threshold / frequency)) of an image's classes (LVIS's repeat factors)."""
    images = Counter(c for present in categories for c in present)
    factor = {c: max(1.0, math.sqrt(threshold * len(categories) / count)) for c, count in images.items()}
    return torch.tensor([max((factor[c] for c in present), default=1.0) for present in categories])


@DATA_SAMPLERS.register_module()
class DeticSampler(Sampler):
    """Endless draws with replacement; an image of dataset i has the weight
    max(sizes) / size_i * ratio_i / sum(ratios) * repeat factor.

    Args:
        dataset: One dataset, or a ``ConcatDataset`` of them.
        ratios: One number a dataset.
        repeat: Which datasets use repeat factors.
        repeat_threshold: Frequency under which a class is repeated (0.001).
        seed: The same on every rank; None draws one.
    """

    def __init__(
        self,
        dataset,
        ratios: Sequence[float] = (1,),
        repeat: Sequence[bool] = (False,),
        repeat_threshold: float = 1e-3,
        seed: int | None = None,
    ) -> None:
        parts = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
        if not len(parts) == len(ratios) == len(repeat):
            raise ValueError(
                f'{len(parts)} datasets need as many ratios and repeat flags: {ratios}, {repeat}'
            )
        sizes = [len(part) for part in parts]
        if not all(sizes):
            raise ValueError(f'dataset {sizes.index(0)} of the mixture is empty')
        weights = []
        for part, size, ratio, use in zip(parts, sizes, ratios, repeat, strict=True):
            factor = torch.ones(size)
            if use:
                factor = repeat_factors([set(part.get_cat_ids(i)) for i in range(size)], repeat_threshold)
                factor = factor * (size / factor.sum())
            weights.append(factor * (max(sizes) / size * ratio / sum(ratios)))
        self.dataset, self.weights = dataset, torch.cat(weights)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed

    def __len__(self) -> int:
        return math.ceil(len(self.weights) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        yield from itertools.islice(self._indices(), self.rank, None, self.world_size)

    def _indices(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            yield from torch.multinomial(
                self.weights, len(self.weights), replacement=True, generator=generator
            ).tolist()

    def set_epoch(self, epoch: int) -> None:
        """The stream has no epochs."""


@DATA_SAMPLERS.register_module()
class DeticBatchSampler(BatchSampler):
    """Batches of one dataset and one orientation (wider than high, or not).

    Args:
        sampler: The stream of indices.
        batch_size: Images a batch; ``batch_sizes`` gives one number a dataset instead.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        drop_last: bool = False,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        dataset = sampler.dataset
        parts = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
        self.batch_sizes = list(batch_sizes or [batch_size] * len(parts))
        if len(self.batch_sizes) != len(parts):
            raise ValueError(f'{len(parts)} datasets need as many batch sizes, not {self.batch_sizes}')
        self._ends = list(itertools.accumulate(len(p) for p in parts))
        self._wide: dict[int, bool] = {}  # a training that goes on draws the indices of days again

    def __iter__(self) -> Iterator[list[int]]:
        buckets: dict[tuple[int, bool], list[int]] = {}
        for index in self.sampler:
            source = bisect.bisect_right(self._ends, index)
            bucket = buckets.setdefault((source, self._is_wide(index)), [])
            bucket.append(index)
            if len(bucket) == self.batch_sizes[source]:
                yield bucket[:]
                bucket.clear()

    def _is_wide(self, index: int) -> bool:
        if index not in self._wide:
            info = self.sampler.dataset.get_data_info(index)
            self._wide[index] = info['width'] > info['height']
        return self._wide[index]

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / self.batch_size)
