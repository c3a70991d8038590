import math

import pytest
import torch

from mmroad.rba.scores import SCALES, SCORES, get_score

# two inlier classes, one pixel; queries 0 and 1 cover it by 1 and 0.5
PROBS = torch.tensor([[0.7, 0.1, 0.2], [0.2, 0.4, 0.4]])
MASKS = torch.tensor([1.0, 0.5]).view(2, 1, 1)
SEG = torch.tensor([0.8, 0.3]).view(2, 1, 1)
BOTH = math.exp(0.8) + math.exp(0.3)
P = math.exp(0.8) / BOTH
EXPECTED = dict(
    rba=-math.tanh(0.8) - math.tanh(0.3),
    energy=-math.log(BOTH),
    neg_logit_sum=-1.1,
    max_softmax=1 - P,
    max_logit=-0.8,
    entropy=-P * math.log(P) - (1 - P) * math.log(1 - P),
    eam=1 - 0.7 - 0.5 * 0.4,
    dense_hybrid=-math.log(BOTH) + math.log(0.75 + 1e-9),
)


@pytest.mark.parametrize('name', EXPECTED)
def test_by_hand(name):
    outlier = torch.tensor([0.0, math.log(3)]).view(2, 1, 1)
    assert get_score(name)(SEG, PROBS, MASKS, outlier).item() == pytest.approx(EXPECTED[name], rel=1e-6)


def test_eam_takes_the_inliers_alone():
    """A query that is surest of "no object" adds its best inlier class."""
    probs = torch.tensor([[0.7, 0.1, 0.2], [0.2, 0.1, 0.7]])
    assert get_score('eam')(SEG, probs, MASKS).item() == pytest.approx(1 - 0.7 - 0.5 * 0.2, rel=1e-6)


def test_dense_hybrid_is_finite_where_the_head_is_sure():
    outlier = torch.tensor([200.0, -200.0]).view(2, 1, 1)
    value = get_score('dense_hybrid')(SEG, PROBS, MASKS, outlier).item()
    assert value == pytest.approx(-math.log(BOTH) + math.log(1e-9), rel=1e-6)


def test_uno_takes_the_outlier_class():
    probs = torch.tensor([[0.6, 0.1, 0.2, 0.1], [0.1, 0.2, 0.5, 0.2]])
    value = get_score('uno')(SEG, probs, MASKS, None).item()
    assert value == pytest.approx((0.2 - 0.6) + 0.5 * (0.5 - 0.2))
    with pytest.raises(ValueError, match='outlier_class'):
        get_score('uno')(SEG, PROBS, MASKS, None)


def test_mask2anomaly_is_zero_where_several_queries_are_sure_of_background():
    """Queries of building (2), sky (10) and car (13) on four pixels, of which the first two refine."""
    probs = torch.full((3, 20), 0.002)
    probs[0, 2], probs[1, 10], probs[2, 13] = 0.962, 0.962, 0.962
    masks = torch.tensor([[0.9, 0.4, 0.0, 0.0], [0.0, 0.0, 0.8, 0.3], [0.9] * 4])[:, None]
    seg = torch.zeros(19, 1, 4)
    score = get_score('mask2anomaly')
    expected = torch.tensor([[0, 1 - 0.4 * 0.962, 0, 1 - 0.3 * 0.962]])
    torch.testing.assert_close(score(seg, probs, masks), expected)
    one = torch.tensor([[1 - 0.9 * 0.962, 1 - 0.4 * 0.962, 1, 1]])
    torch.testing.assert_close(score(seg, probs[::2], masks[::2]), one)
    probs[:2] = 0.05  # sure of nothing
    assert score(seg, probs, masks).tolist() == [[1.0] * 4]
    seg[4, 0, 1] = 0.7
    torch.testing.assert_close(score(seg, probs, masks), torch.tensor([[1, 0.3, 1, 1]]))


@pytest.mark.parametrize('name', sorted(set(SCORES) - {'dense_hybrid'}))
def test_scales_span_from_a_sure_inlier_to_nothing(name):
    """What 19 classes give where one query is sure of a class, and where no mask is (UNO: an outlier)."""
    low, high = SCALES[name]
    seg = torch.zeros(19, 1, 1)
    probs = torch.zeros(1, 21 if name == 'uno' else 20)
    outlier = probs.clone()
    outlier[0, 19] = 1
    masks = torch.ones(1, 1, 1)
    hot = get_score(name)(seg, outlier, masks, None).item()
    seg[0], probs[0, 0] = 1, 1
    cold = get_score(name)(seg, probs, masks, None).item()
    width = high - low
    assert cold < hot and width > 0
    assert abs(cold - low) <= 0.6 * width and abs(hot - high) <= 0.25 * width


def test_all_scores_are_covered_and_unknown_ones_named():
    assert set(SCORES) == {*EXPECTED, 'uno', 'mask2anomaly'}
    with pytest.raises(KeyError, match='expected one of rba'):
        get_score('raba')
    with pytest.raises(ValueError, match='ood_head'):
        get_score('dense_hybrid')(SEG, PROBS, MASKS, None)
