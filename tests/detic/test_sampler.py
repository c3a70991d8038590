"""The stream of Detic's mixtures: weights by hand, batches of one data set and one orientation, going on."""

import itertools
import math

import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset

from mmroad.detic.sampler import DeticBatchSampler, DeticSampler, repeat_factors


class Images(BaseDataset):
    """As much of a dataset as samplers ask for: sizes and classes."""

    def __init__(self, sizes, categories=None):
        self.sizes, self.categories, self.asked = sizes, categories, 0
        self._metainfo, self._fully_initialized = dict(classes=('car',)), True

    def __len__(self):
        return len(self.sizes)

    def get_data_info(self, index):
        self.asked += 1
        width, height = self.sizes[index]
        return dict(width=width, height=height)

    def get_cat_ids(self, index):
        return self.categories[index]


def mixture(*parts):
    return ConcatDataset(list(parts))


def take(sampler, n):
    return list(itertools.islice(iter(sampler), n))


def test_repeat_factors_by_hand():
    # class 0 is in all four images, class 1 in one: sqrt(0.5 / 0.25); never below 1
    factors = repeat_factors([{0}, {0, 1}, {0}, {0}], 0.5)
    assert factors.tolist() == pytest.approx([1, math.sqrt(2), 1, 1])
    assert repeat_factors([set()], 0.5).tolist() == [1]


def test_weights_of_two_sets_by_hand():
    large = Images([(2, 1)] * 10)
    small = Images([(2, 1)] * 4, [[0], [0, 1], [0], [0]])
    sampler = DeticSampler(mixture(large, small), (1, 3), (False, True), repeat_threshold=0.5, seed=0)
    factors = torch.tensor([1, math.sqrt(2), 1, 1])
    want = torch.cat([torch.full((10,), 1 * 1 / 4), factors * 4 / factors.sum() * 10 / 4 * 3 / 4])
    assert torch.allclose(sampler.weights, want)
    # the ratio of the sets is theirs, whatever the factors
    assert sampler.weights[10:].sum() / sampler.weights[:10].sum() == pytest.approx(3)
    drawn = torch.tensor(take(sampler, 40_000))
    assert (drawn >= 10).float().mean() == pytest.approx(0.75, abs=0.01)
    assert (drawn == 11).sum() / (drawn == 10).sum() == pytest.approx(math.sqrt(2), rel=0.05)


def test_a_seed_gives_a_stream():
    data = Images([(2, 1)] * 50)
    assert take(DeticSampler(data, seed=7), 120) == take(DeticSampler(data, seed=7), 120)
    assert take(DeticSampler(data, seed=7), 120) != take(DeticSampler(data, seed=8), 120)
    assert DeticSampler(data, seed=7).seed == 7 and isinstance(DeticSampler(data).seed, int)


def test_wrong_mixtures_are_refused():
    with pytest.raises(ValueError, match='2 datasets need as many ratios'):
        DeticSampler(mixture(Images([(1, 1)]), Images([(1, 1)])), (1,))
    with pytest.raises(ValueError, match='dataset 1 of the mixture is empty'):
        DeticSampler(mixture(Images([(1, 1)]), Images([])), (1, 1), (False, False))
    with pytest.raises(ValueError, match='1 datasets need as many batch sizes'):
        DeticBatchSampler(DeticSampler(Images([(1, 1)])), 2, batch_sizes=[1, 2])


def test_batches_have_one_set_and_one_orientation():
    sizes = [(2, 1), (1, 1), (1, 2), (3, 1)]  # as wide as high belongs to those that are not wider
    data = mixture(Images(sizes), Images(sizes))
    stream = DeticSampler(data, (1, 1), (False, False), seed=1)
    seen = set()
    for batch in take(DeticBatchSampler(stream, 2, batch_sizes=[2, 3]), 200):
        wide = {sizes[i % 4][0] > sizes[i % 4][1] for i in batch}
        source = {i // 4 for i in batch}
        assert len(wide) == len(source) == 1 and len(batch) == (3 if source == {1} else 2)
        seen |= set(batch)
    assert seen == set(range(8))


def test_going_over_batches_again_asks_for_each_image_once():
    data = Images([(2, 1), (1, 2)] * 8)
    batches = DeticBatchSampler(DeticSampler(data, seed=1), 2)
    take(batches, 400)
    assert data.asked == 16


def test_lengths_and_ranks(monkeypatch):
    data = Images([(2, 1)] * 7)
    whole = take(DeticSampler(data, seed=3), 12)
    monkeypatch.setattr('mmroad.detic.sampler.get_dist_info', lambda: (1, 3))
    second = DeticSampler(data, seed=3)
    assert take(second, 4) == whole[1::3] and len(second) == 3
    assert len(DeticBatchSampler(second, 2)) == 2 and len(DeticBatchSampler(second, 3)) == 1
    monkeypatch.setattr('mmroad.detic.sampler.get_dist_info', lambda: (0, 1))
    monkeypatch.setattr('mmroad.detic.sampler.sync_random_seed', lambda: 5)
    assert DeticSampler(data).seed == 5 and DeticSampler(data, seed=0).seed == 0


def test_classes_are_repeated_under_a_thousandth():
    classes = [[0]] * 2000 + [[1]]  # 1 in 2001 images, below the thousandth
    sampler = DeticSampler(Images([(2, 1)] * 2001, classes), (1,), (True,), seed=0)
    assert sampler.weights[-1] / sampler.weights[0] == pytest.approx(math.sqrt(2.001), rel=1e-4)
    assert len(set(DeticSampler(Images([(2, 1)] * 9, classes), seed=0).weights.tolist())) == 1


def test_a_batch_is_whole_when_its_orientation_has_enough():
    class Stream:
        dataset = mixture(Images([(2, 1), (1, 2)]), Images([(2, 1)]))

        def __iter__(self):
            return iter([0, 1, 2, 0, 2, 1, 1, 2])

        def __len__(self):
            return 8

    assert list(DeticBatchSampler(Stream(), 2)) == [[0, 0], [2, 2], [1, 1]]
    assert list(DeticBatchSampler(Stream(), 9, batch_sizes=[1, 3])) == [[0], [1], [0], [1], [1], [2, 2, 2]]
