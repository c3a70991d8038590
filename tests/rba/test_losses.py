import math

import pytest
import torch

from mmroad.rba.losses import (
    DenseHybridLoss,
    GamblerLoss,
    MaskContrastiveLoss,
    OutlierLoss,
    SmoothnessLoss,
    SparsityLoss,
    class_map,
)


def sure(size=(4, 4)):
    """Two queries of two classes, sure of themselves: class 0 on the left half, class 1 nowhere."""
    class_logits = torch.tensor([[[50.0, 0, 0], [0, 50.0, 0]]])
    left = torch.zeros(1, 2, *size) - 50
    left[:, 0, :, : size[1] // 2] = 50
    return class_logits, left


def test_rba_by_hand():
    class_logits, masks = sure()
    seg = class_map(class_logits, masks)
    torch.testing.assert_close(seg[0, :, 0], torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]]))
    labels = torch.zeros(1, 4, 4).long()
    # scores are -tanh(1) on the left, 0 on the right, all below the inliers' threshold
    assert OutlierLoss()(class_logits, masks, labels) == 0
    labels[0, :, 0] = 254
    labels[0, 0] = 255
    expected = (5 + math.tanh(1)) ** 2 / 2
    assert OutlierLoss()(class_logits, masks, labels).item() == pytest.approx(expected, rel=1e-6)
    assert OutlierLoss(loss_weight=3.0)(class_logits, masks, labels).item() == pytest.approx(3 * expected)


def test_mask_contrastive_loss_by_hand():
    """max S is 1 on the left half and 0 on the right; ignored pixels count as inliers."""
    class_logits, masks = sure()
    labels = torch.zeros(1, 4, 4).long()
    labels[0, :, 0], labels[0, 0, 1], labels[0, 1:, 3] = 254, 255, 254
    # 9 inliers, 4 of them on the left; outliers: 4 on the left, 3 on the right
    published = (4 / 9 + (4 * 2**2 + 3 * 1**2) / 7) / 2
    assert MaskContrastiveLoss()(class_logits, masks, labels).item() == pytest.approx(published, rel=1e-5)
    paper = (5 / 9 + 4 * 0.75**2 / 7) / 2
    loss = MaskContrastiveLoss(margin=0.75, offset=1.0)
    assert loss(class_logits, masks, labels).item() == pytest.approx(paper, rel=1e-5)


LOSSES = [
    *[OutlierLoss(function=f) for f in ('squared_hinge', 'bce', 'mse', 'l1', 'kl')],
    OutlierLoss('sum_entropy'),
    SmoothnessLoss(),
    SparsityLoss(),
    GamblerLoss(),
    DenseHybridLoss(),
    MaskContrastiveLoss(),
]


@pytest.mark.parametrize('label', [0, 254, 255], ids=['no outlier', 'no inlier', 'nothing'])
@pytest.mark.parametrize('loss', LOSSES, ids=lambda loss: type(loss).__name__ + getattr(loss, 'function', ''))
def test_losses_and_gradients_are_finite(loss, label):
    g = torch.Generator().manual_seed(0)
    inputs = [torch.randn(s, generator=g).requires_grad_() for s in ((2, 5, 4), (2, 5, 6, 8), (2, 2, 6, 8))]
    value = loss(inputs[0], inputs[1], torch.full((2, 12, 16), label), inputs[2])
    value.backward()
    assert value.isfinite()
    assert all(x.grad is None or x.grad.isfinite().all() for x in inputs)


def test_gambler_loss_is_finite_where_a_class_is_impossible():
    """A hundred queries that are sure of class 0: an outlier's other probabilities underflow to 0, and its
    terms are those of the least value."""
    class_logits = torch.zeros(1, 100, 3)
    class_logits[..., 0] = 50.0
    masks = torch.full((1, 100, 8, 8), 50.0)
    labels = torch.full((1, 8, 8), 254)
    value = GamblerLoss(ood_reg=0.1)(class_logits.requires_grad_(), masks, labels)
    value.backward()
    reward = 100.0**2
    share = math.exp(-100) / reward  # class 1: e^-100 + e^-100 / reward, below 1e-7
    assert share < 1e-7
    assert value.item() == pytest.approx(-0.1 * (math.log(1.0) + math.log(1e-7)) / 2, rel=1e-5)
    assert class_logits.grad.isfinite().all()


def test_weights_are_the_published_where_none_is_given():
    assert (SparsityLoss().loss_weight, SmoothnessLoss().loss_weight) == (5e-4, 3e-6)  # PEBAL's


def test_unknown_names_are_errors():
    with pytest.raises(ValueError, match='expected nls'):
        OutlierLoss(target='rba')
    with pytest.raises(ValueError, match='expected squared_hinge'):
        OutlierLoss(function='hinge')
    with pytest.raises(ValueError, match='ood_head'):
        DenseHybridLoss()(*sure(), torch.zeros(1, 4, 4).long())
