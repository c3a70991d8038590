"""Weights, streams and batches of a mixture of data sets."""

import itertools

import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset

from mmroad.detic.sampler import DeticBatchSampler, DeticSampler, repeat_factors


class Images(BaseDataset):
    """A data set of classes and sizes."""

    metainfo = {}

    def __init__(self, classes, sizes=None):
        self.classes, self.sizes = classes, sizes or [(1, 2)] * len(classes)

    def __len__(self):
        return len(self.classes)

    def get_cat_ids(self, i):
        return self.classes[i]

    def get_data_info(self, i):
        return dict(width=self.sizes[i][0], height=self.sizes[i][1])

    def full_init(self):
        pass


def test_repeat_factors_by_hand():
    images = [{0}] * 96 + [{0, 1}, {1}, {2}, set()]
    got = repeat_factors(images, 0.04)
    # class 0 is frequent: 1; class 1 in 2 of 100: sqrt(2); class 2 in 1: 2
    assert got.tolist() == pytest.approx([1.0] * 96 + [2**0.5, 2**0.5, 2, 1])


def test_weights_keep_the_ratio_of_the_sets():
    boxes, weak = Images([[0]] * 8 + [[1], [1, 0]]), Images([[0], [1], [2], []])
    sampler = DeticSampler(
        ConcatDataset([boxes, weak]), ratios=[1, 3], repeat=[True, False], repeat_threshold=0.8, seed=0
    )
    # class 0 is in 9 of 10 images: 1; class 1 in 2 of 10: 2
    factors = torch.tensor([1.0] * 8 + [2, 2]) * 10 / 12
    assert sampler.weights.tolist() == pytest.approx([*(factors * 1 / 4).tolist(), *[10 / 4 * 3 / 4] * 4])
    assert float(sampler.weights[:10].sum() * 3) == pytest.approx(float(sampler.weights[10:].sum()))
    for wrong in (dict(ratios=[1], repeat=[True, False]), dict(ratios=[1, 1], repeat=[True])):
        with pytest.raises(ValueError, match='2 datasets need as many ratios and repeat flags'):
            DeticSampler(ConcatDataset([boxes, weak]), **wrong)


def test_a_seed_gives_its_own_stream():
    data = Images([[0]] * 50)
    stream = {seed: list(itertools.islice(iter(DeticSampler(data, seed=seed)), 120)) for seed in (3, 4)}
    assert stream[3] == list(itertools.islice(iter(DeticSampler(data, seed=3)), 120)) != stream[4]
    assert len({DeticSampler(data).seed for _ in range(4)}) > 1  # without one, one is drawn


def test_batches_keep_sets_and_orientations_apart():
    sizes = [(2, 1), (1, 2), (2, 2)]  # wide, high, square: with the high ones
    parts = [Images([[0]] * 30, sizes * 10), Images([[0]] * 30, sizes * 10)]
    batches = DeticBatchSampler(
        DeticSampler(ConcatDataset(parts), [1, 1], [False, False], seed=0), 1, batch_sizes=[4, 6]
    )
    wide = set()
    for batch in itertools.islice(iter(batches), 40):
        source = {i // 30 for i in batch}
        kinds = {i % 3 == 0 for i in batch}
        assert len(source) == len(kinds) == 1 and len(batch) == (4, 6)[source.pop()]
        wide |= {i % 3 for i in batch} if not kinds.pop() else set()
    assert wide == {1, 2}
    assert any({i % 3 for i in batch} == {1, 2} for batch in itertools.islice(iter(batches), 40))
