"""Random numbers follow from the place in the training."""

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DATA_SAMPLERS

from mmroad.runtime.training.randomness import Batch, ResumableBatchSampler, SeededItems, seed_all


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_a_key_sets_all_three_generators():
    seen = []
    for key in ((1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)):
        seed_all(*key)
        seen.append(draws())
        seed_all(*key)
        assert draws() == seen[-1]
    for column in zip(*seen):
        assert len(set(column)) == 4


class Points:
    metainfo = dict(classes=('a',))

    def __len__(self):
        return 11

    def __getitem__(self, index):
        return index, draws()

    def get_data_info(self, index):
        return dict(width=1 + index % 2, height=1.5)


def test_items_follow_from_seed_rank_batch_and_place():
    def items(seed=3, rank=0, number=5, indices=(4, 4)):
        batch = Batch(indices)
        batch.number = number
        return SeededItems(Points(), seed, rank)(pickle.loads(pickle.dumps(batch)))

    first = items()
    random.random()
    assert items() == first and [i for i, _ in first] == [4, 4]
    assert first[0] != first[1]  # the same image twice in a batch is not the same picture twice
    for other in (items(seed=4), items(rank=1), items(number=6)):
        assert not {d for _, d in other} & {d for _, d in first}


@pytest.mark.parametrize('inner', [None, dict(type='AspectRatioBatchSampler')])
@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize('skip', [0, 1, 2, 3, 4, 7, 13])
def test_batches_go_on_where_they_were(inner, kind, skip):
    assert DATA_SAMPLERS.get('AspectRatioBatchSampler') in (None, AspectRatioBatchSampler)
    if inner:
        inner = dict(type=AspectRatioBatchSampler)

    def stream(skip):
        sampler = ResumableBatchSampler(kind(Points(), shuffle=True, seed=2), 3, batch_sampler=inner)
        sampler.begin(skip, skip)
        while True:
            for batch in sampler:
                yield batch.number, list(batch)
            sampler.next_epoch()

    whole = list(itertools.islice(stream(0), 20))
    assert [number for number, _ in whole] == list(range(20))
    assert list(itertools.islice(stream(skip), 20 - skip)) == whole[skip:]
    if kind is DefaultSampler:  # a pass holds every image once, and the next is another order
        size = len(ResumableBatchSampler(kind(Points(), seed=2), 3, batch_sampler=inner))
        assert size == 4 and sorted(i for _, b in whole[:4] for i in b) == list(range(11))
        assert [b for _, b in whole[:4]] != [b for _, b in whole[4:8]]


def test_data_without_a_batch_is_told():
    class Nothing(Points):
        def __len__(self):
            return 1

    sampler = ResumableBatchSampler(DefaultSampler(Nothing(), seed=0), 2, drop_last=True)
    with pytest.raises(ValueError, match='no batch'):
        sampler.begin(3, 3)
