"""The order of frames: shuffled to train, video by video to test."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler


@DATA_SAMPLERS.register_module()
class TrackFrameSampler(Sampler):
    """Every frame of the data sets once an epoch: `BDD100KTrackDataset`, also several in a ``ConcatDataset``.

    To train, frames of all data sets are shuffled together, and every rank has as many (the first frames of the order
    are repeated for that). To test, every rank has whole videos in their order, so many that the ranks have about as
    many frames; no frame is repeated.

    Args:
        dataset: What the loader reads.
        seed: Of the shuffling; None draws one for all ranks.
    """

    def __init__(self, dataset, seed: int | None = None) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.epoch = 0
        self.seed = sync_random_seed() if seed is None else seed
        parts = getattr(dataset, 'datasets', None) or [dataset]
        self.test_mode = bool(parts[0].test_mode)
        if self.test_mode:
            lengths = [length for part in parts for length in part.video_lengths()]
            self._own = _whole_videos(lengths, self.world_size)[self.rank]

    def __iter__(self) -> Iterator[int]:
        if self.test_mode:
            return iter(self._own)
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.dataset), generator=generator).tolist()
        total = len(self) * self.world_size
        order = (order * math.ceil(total / len(order)))[:total]
        return iter(order[self.rank : total : self.world_size])

    def __len__(self) -> int:
        if self.test_mode:
            return len(self._own)
        return math.ceil(len(self.dataset) / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration is of."""
        self.epoch = epoch


def _whole_videos(lengths: list[int], world_size: int) -> list[list[int]]:
    """The frames of each rank: longest videos first, each to the rank with fewest frames."""
    starts = [0, *accumulate(lengths)]
    own: list[list[int]] = [[] for _ in range(world_size)]
    frames = [0] * world_size
    for video in sorted(range(len(lengths)), key=lambda v: -lengths[v]):
        rank = frames.index(min(frames))
        own[rank].append(video)
        frames[rank] += lengths[video]
    return [[f for v in sorted(part) for f in range(starts[v], starts[v] + lengths[v])] for part in own]
