"""Detic's losses against their formulas, written out element by element."""

import math

import pytest
import torch

from mmroad.detic.losses import (
    IMAGE_LABEL_LOSSES,
    caption_loss,
    federated_classes,
    image_label_loss,
    sigmoid_classification_loss,
)


def bce(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def test_sigmoid_classification_loss_sums_classes_and_averages_regions():
    logits, labels = torch.randn(3, 5), torch.tensor([0, 4, 2])
    weight = torch.tensor([1.0, 0, 1, 1])
    want = sum(
        bce(float(logits[i, c]), float(labels[i] == c)) * float(weight[c]) for i in range(3) for c in range(4)
    )
    assert float(sigmoid_classification_loss(logits, labels, weight)) == pytest.approx(want / 3, rel=1e-5)


def test_no_regions_give_a_zero_that_can_be_differentiated():
    logits = torch.zeros(0, 5, requires_grad=True)
    loss = sigmoid_classification_loss(logits, torch.zeros(0, dtype=torch.long))
    assert loss.shape == () and float(loss) == 0
    loss.backward()
    assert logits.grad.shape == (0, 5)


def test_federated_classes_hold_all_that_appear_and_are_filled_by_frequency():
    freq = torch.tensor([0.0, 100.0, 1.0, 0.0, 1.0, 1.0])
    labels = torch.tensor([0, 1, 1, 6])  # the classes 0 and 1 and the background
    for _ in range(50):  # class 1, the most frequent, appears already and is not drawn again
        mask = federated_classes(labels, freq, num_sample=5)
        assert mask.shape == (6,) and mask[0] == mask[1] == 1 and mask[3] == 0  # frequency 0 is never drawn
        assert mask.sum() == 4  # the background took one of the five places
    assert federated_classes(torch.arange(6), freq, 2).sum() == 6  # all that appear, be they more than asked
    assert federated_classes(labels, freq, 50).tolist() == [1, 1, 1, 0, 1, 1]  # no more than can be drawn


def test_draws_follow_the_frequencies():
    freq = torch.tensor([1.0, 9.0, 0.0])
    drawn = sum(federated_classes(torch.tensor([3]), freq, num_sample=2) for _ in range(400))
    assert 10 < float(drawn[0]) < 80 and drawn[0] + drawn[1] == 400


LOGITS = torch.tensor([[0.3, -1.0, 0.0], [2.0, 0.5, 0.0], [-0.4, 1.5, 0.0], [0.1, 0.2, 0.0]])
BOXES = torch.tensor([[0.0, 0, 4, 4], [0, 0, 10, 9], [0, 0, 6, 6], [0, 0, 50, 50]])


@pytest.mark.parametrize(
    ('kind', 'region'),
    [('max_size', 1), ('max_score', 2), ('first', 0), ('image', 3), ('min_loss', 2)],
)
def test_image_label_losses_judge_the_right_region(kind, region):
    label = 1
    want = sum(bce(float(x), float(c == label)) for c, x in enumerate(LOGITS[region]))
    assert float(IMAGE_LABEL_LOSSES[kind](LOGITS, label, BOXES, None)) == pytest.approx(want, rel=1e-5)


def test_max_size_of_one_region_is_that_region():
    want = sum(bce(float(x), float(c == 1)) for c, x in enumerate(LOGITS[0]))
    assert float(IMAGE_LABEL_LOSSES['max_size'](LOGITS[:1], 1, BOXES[:1], None)) == pytest.approx(
        want, rel=1e-5
    )


def test_max_size_leaves_the_last_region_out():
    largest_last = BOXES[[3, 1, 2, 3]]  # equal sizes: the first of them
    want = sum(bce(float(x), float(c == 2)) for c, x in enumerate(LOGITS[0]))
    got = IMAGE_LABEL_LOSSES['max_size'](LOGITS, 2, largest_last, None)
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_wsddn_is_the_mean_over_the_columns_of_two_streams():
    prop = torch.randn(4, 3)
    streams = [
        [
            1 / (1 + math.exp(-float(LOGITS[r, c]))) * math.exp(float(prop[r, c] - prop[:, c].logsumexp(0)))
            for r in range(4)
        ]
        for c in range(3)
    ]
    score = [sum(stream) for stream in streams]
    want = -(math.log(1 - score[0]) + math.log(score[1]) + math.log(1 - score[2])) / 3
    assert float(IMAGE_LABEL_LOSSES['wsddn'](LOGITS, 1, BOXES, prop)) == pytest.approx(want, rel=1e-5)


def test_wsddn_of_sure_regions_stays_finite():
    """Rounding may bring a sum of probabilities above 1, which cross entropy refuses."""
    for regions in range(2, 60):
        logits = torch.full((regions, 3), 50.0, requires_grad=True)
        prop = torch.linspace(-2, 3, regions * 3).reshape(regions, 3).sin()
        loss = IMAGE_LABEL_LOSSES['wsddn'](logits, 1, torch.zeros(regions, 4), prop)
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()
    low = torch.full((2, 3), -400.0, requires_grad=True)  # the other end: a probability of 0
    loss = IMAGE_LABEL_LOSSES['wsddn'](low, 1, torch.zeros(2, 4), torch.zeros(2, 3))
    assert float(loss) == pytest.approx(-math.log(1e-10) / 3, rel=1e-4)


def test_mean_over_labels_then_over_images():
    one = image_label_loss('max_score', [LOGITS], [BOXES], [torch.tensor([0, 1])])
    parts = [IMAGE_LABEL_LOSSES['max_score'](LOGITS, label, BOXES, None) for label in (0, 1)]
    assert torch.allclose(one, sum(parts) / 2)
    two = image_label_loss('max_score', [LOGITS] * 2, [BOXES] * 2, [torch.tensor([0]), torch.tensor([1])])
    assert torch.allclose(two, one)
    # an image without regions or without labels adds nothing, and is counted
    none = torch.tensor([], dtype=torch.long)
    three = image_label_loss(
        'max_score',
        [LOGITS, LOGITS[:0], LOGITS],
        [BOXES, BOXES[:0], BOXES],
        [torch.tensor([0, 1])] * 2 + [none],
    )
    assert torch.allclose(three, one / 3)


def test_caption_loss_weighs_the_negatives():
    scores = torch.tensor([0.5, -1.0, 2.0])
    want = bce(-1.0, 1) + 0.125 * (bce(0.5, 0) + bce(2.0, 0))
    assert float(caption_loss(scores, 1, 0.125)) == pytest.approx(want, rel=1e-5)
    want = bce(-1.0, 1) + bce(0.5, 0) + bce(2.0, 0)
    assert float(caption_loss(scores, 1)) == pytest.approx(want, rel=1e-5)
