"""Detic's losses against their formulas, written out element by element."""

import math

import pytest
import torch
import torch.nn.functional as F

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
    sigmoid_classification_loss(logits, torch.zeros(0, dtype=torch.long)).backward()


def test_federated_classes_hold_all_that_appear_and_are_filled_by_frequency():
    freq = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    labels = torch.tensor([0, 0, 6])  # class 0 and the background
    mask = federated_classes(labels, freq, num_sample=5)
    assert mask[0] == 1 and mask[3] == 0  # frequency 0 is never drawn
    assert mask.sum() == 4  # the background took one of the five places
    assert federated_classes(torch.arange(6), freq, 2).sum() == 6


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


def test_wsddn_multiplies_two_streams():
    prop = torch.randn(4, 3)
    score = (LOGITS.sigmoid() * prop.softmax(0)).sum(0)
    want = F.binary_cross_entropy(score, torch.tensor([0.0, 1.0, 0.0]), reduction='sum')
    assert torch.allclose(IMAGE_LABEL_LOSSES['wsddn'](LOGITS, 1, BOXES, prop), want)


def test_mean_over_labels_then_over_images():
    one = image_label_loss('max_score', [LOGITS], [BOXES], [torch.tensor([0, 1])])
    parts = [IMAGE_LABEL_LOSSES['max_score'](LOGITS, label, BOXES, None) for label in (0, 1)]
    assert torch.allclose(one, sum(parts) / 2)
    two = image_label_loss('max_score', [LOGITS] * 2, [BOXES] * 2, [torch.tensor([0]), torch.tensor([1])])
    assert torch.allclose(two, one)


def test_caption_loss_weighs_the_negatives():
    scores = torch.tensor([0.5, -1.0, 2.0])
    want = bce(-1.0, 1) + 0.125 * (bce(0.5, 0) + bce(2.0, 0))
    assert float(caption_loss(scores, 1, 0.125)) == pytest.approx(want, rel=1e-5)
