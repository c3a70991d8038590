"""The losses of both stages: values by hand, any batch size, and the published code's numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.utils import cityscapes_classes

from mmroad.abet.losses import (
    STRICT_CLASSES,
    ImageWeightedLoss,
    JointWeightedBorderLoss,
    boundary,
    class_weights,
    label_shares,
    relaxed_pixels,
)

PARITY = Path(__file__).parents[2] / '../shared/parity'


def random_batch(seed=0, n=2, classes=19, size=(12, 16)):
    g = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, classes, (n, 1, 4, 4), generator=g).float()
    labels = F.interpolate(blocks, size).long()[:, 0]
    labels[:, :3, :3] = 255
    return torch.randn(n, classes, *size, generator=g), labels


def test_published_settings():
    strict = {cityscapes_classes()[i] for i in STRICT_CLASSES}
    assert strict == {'pole', 'traffic light', 'traffic sign', 'person', 'rider', 'motorcycle', 'bicycle'}
    joint = JointWeightedBorderLoss()
    assert (joint.wt_bound, joint.strict_classes, joint.border) == (1, STRICT_CLASSES, 1)
    assert ImageWeightedLoss().wt_bound == 6


def test_label_shares_count_the_label_after_the_last_class_with_the_last_class():
    labels = torch.tensor([[[0, 0, 1, 2], [2, 2, 255, 255]], [[255] * 4] * 2])
    shares = label_shares(labels, 2)
    assert torch.allclose(shares[0], torch.tensor([2 / 6, 4 / 6]))
    assert shares[1].tolist() == [0, 0]
    assert class_weights(torch.tensor([0.25, 0.0]), 6.0).tolist() == [5.5, 1.0]


def test_image_weighted_loss_by_hand():
    logits, labels = random_batch()
    want = 0.0
    for z, y in zip(logits, labels, strict=True):
        share = torch.bincount(y[y < 19], minlength=19) / (y < 19).sum()
        weight = torch.where(share > 0, 6 * (1 - share), 0) + 1
        want += F.cross_entropy(z[None], y[None], weight=weight, ignore_index=255)
    torch.testing.assert_close(ImageWeightedLoss(6.0)(logits, labels), want)


def dense_target(labels, num_classes, strict, border=None):
    """Multi-hot target (N, C + 1, H, W), times the weights ``border`` (N, H, W) of the pixels."""
    labels = torch.where(labels < num_classes, labels, num_classes)
    target = F.one_hot(labels, num_classes + 1)
    if border is not None:
        return (target * border[..., None]).permute(0, 3, 1, 2)
    index, several = relaxed_pixels(labels, num_classes, strict)
    target.view(-1, num_classes + 1)[index] = several.long()
    return target.permute(0, 3, 1, 2)


def test_relaxed_target_of_a_border_and_a_strict_class():
    labels = torch.tensor([[[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 255]]])
    target = dense_target(labels, 2, strict=()).bool()
    assert target[0, :, 1, 1].tolist() == [True, True, False]
    assert target[0, :, 1, 2].tolist() == [True, True, True]  # beside the ignored pixel
    assert target[0, :, 0, 0].tolist() == [True, False, True]  # out of the image
    strict = dense_target(labels, 2, strict=(1,)).bool()
    assert strict[0, :, 1, 2].tolist() == [False, True, False]
    assert strict[0, :, 1, 1].tolist() == [True, True, False]  # its neighbors may still be it


def test_boundary_is_both_sides_of_an_edge():
    labels = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1]]])
    assert boundary(labels)[0, 0].tolist() == [False, True, True, False]


@pytest.mark.parametrize('relax', [True, False])
def test_a_batch_is_the_sum_of_its_images(relax):
    logits, labels = random_batch()
    loss = JointWeightedBorderLoss()
    loss.relax = relax
    single = sum(loss(logits[i : i + 1], labels[i : i + 1]) for i in range(2))
    torch.testing.assert_close(loss(logits, labels), single)


@pytest.mark.parametrize('relax', [True, False])
@pytest.mark.parametrize('kind', [ImageWeightedLoss, JointWeightedBorderLoss])
def test_weights_of_pixels(kind, relax):
    """Twice the weight is twice the loss (a weighted mean stays); pixels of weight 0 have no gradient."""
    logits, labels = random_batch()
    loss = kind()
    loss.relax = relax
    plain = loss(logits, labels)
    doubled = loss(logits, labels, weight=2 * torch.ones(labels.shape))
    torch.testing.assert_close(doubled, plain * (1 if kind is ImageWeightedLoss else 2))
    index, _ = relaxed_pixels(labels.clamp(max=19), 19, ())
    for at_borders in (True, False):
        border = torch.zeros(labels.numel(), dtype=torch.bool)
        border[index] = True
        border = border.view_as(labels)
        assert border.any() and not border.all()
        leaf = logits.clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(leaf, labels, weight=(border == at_borders).float()), leaf)
        seen = grad.abs().sum(1) > 0
        assert seen[border == at_borders].any() and not seen[border != at_borders].any()
    parts = [loss(logits, labels, weight=(border == part).float()) for part in (True, False)]
    if kind is JointWeightedBorderLoss:
        torch.testing.assert_close(sum(parts), plain)


def test_joint_loss_stays_finite_where_probabilities_underflow():
    logits, labels = random_batch(n=1)
    logits = (logits * 400).requires_grad_()
    loss = JointWeightedBorderLoss()(logits, labels)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize('loss', [ImageWeightedLoss(), JointWeightedBorderLoss()])
def test_an_image_without_labels_has_no_loss(loss):
    logits = torch.randn(1, 19, 8, 8, requires_grad=True)
    value = loss(logits, torch.full((1, 8, 8), 255))
    value.backward()
    assert value == 0 and (logits.grad == 0).all()


@pytest.mark.skipif(not PARITY.is_dir(), reason='the shared parity cases are not here')
class TestParity:
    @pytest.fixture(scope='class')
    def case(self):
        sys.path.insert(0, str(PARITY))
        import fill

        return fill.load('abet_losses')

    def hold(self, case, name, got):
        want = np.asarray(case['golden'][name], 'float64')
        assert np.abs(np.asarray(got, 'float64') - want).max() <= case['tolerance'][name], name

    def run(self, loss, logits, labels, ignore_index=255):
        """Value and gradient of each image alone."""
        values, grads = [], []
        for z, y in zip(logits, labels, strict=True):
            z = torch.from_numpy(z)[None].requires_grad_()
            value = loss(z, torch.from_numpy(y.astype('int64'))[None], ignore_index=ignore_index)
            value.backward()
            values.append(value.item())
            grads.append(z.grad[0].numpy())
        return np.array(values), np.array(grads)

    @pytest.mark.parametrize('bound', [1, 6])
    @pytest.mark.parametrize('variant', ['', '_nostrict', '_off'])
    def test_joint_loss(self, case, variant, bound):
        golden = case['golden']
        loss = JointWeightedBorderLoss(bound, **(dict(strict_classes=()) if variant == '_nostrict' else {}))
        loss.relax = variant != '_off'
        labels = torch.from_numpy(golden['labels'].astype('int64'))
        border = None if loss.relax else 1 + boundary(labels).long()
        self.hold(case, f'target{variant}', dense_target(labels, 19, loss.strict_classes, border))
        values, grads = self.run(loss, golden['logits'], golden['labels'])
        self.hold(case, f'joint_loss{variant}_ub{bound}', values)
        if bound == 1:
            self.hold(case, f'joint_grad{variant}_ub1', grads)
        both = loss(torch.from_numpy(golden['logits']), labels)
        assert abs(both.item() - golden[f'joint_loss{variant}_ub{bound}'].sum()) < 1e-4

    @pytest.mark.parametrize('bound', [1, 6])
    def test_image_weighted_loss(self, case, bound):
        golden, loss = case['golden'], ImageWeightedLoss(bound)
        self.hold(case, f'imgwt_loss_ub{bound}', self.run(loss, golden['logits'], golden['labels'])[0])
        z = torch.from_numpy(golden['logits']).requires_grad_()
        value = loss(z, torch.from_numpy(golden['labels'].astype('int64')))
        self.hold(case, f'imgwt_loss_batch2_ub{bound}', value.item())
        value.backward()
        if bound == 6:
            self.hold(case, 'imgwt_grad_batch2_ub6', z.grad)

    def test_mapillary(self, case):
        golden = case['golden']
        values, grads = self.run(
            ImageWeightedLoss(6), golden['mapillary_logits'], golden['mapillary_labels'], ignore_index=65
        )
        self.hold(case, 'mapillary_imgwt_loss', values)
        self.hold(case, 'mapillary_imgwt_grad', grads)


@pytest.mark.parametrize('kind', [ImageWeightedLoss, JointWeightedBorderLoss])
def test_a_class_may_be_ignored_and_a_loss_weigh_less(kind):
    logits, labels = random_batch()
    want = kind()(logits, labels)
    assert kind()(logits, labels, ignore_index=255) == want
    assert kind(loss_weight=0.5)(logits, labels) == want / 2
    assert kind().loss_name.startswith('loss_') and kind(loss_name='loss_mine').loss_name == 'loss_mine'
    ignored = kind()(logits, labels, ignore_index=3)
    assert (labels == 3).any() and ignored != want
    if kind is JointWeightedBorderLoss:
        assert ignored == kind()(logits, torch.where(labels == 3, 255, labels))
    doubled = kind()(logits, labels, torch.full(labels.shape, 2.0))
    torch.testing.assert_close(doubled, want * (1 if kind is ImageWeightedLoss else 2))
