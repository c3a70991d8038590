"""Losses that train a mask classifier on outliers.

All take the predictions of one layer and the label map, and share one map: S_c = sum_q p_q(c) sigmoid(m_q)
at the masks' resolution. Means run over the pixels of the whole batch. Where there are no pixels of a
kind, that term is zero (upstream's are NaN). Formulas follow NazirNayal8/RbA@cf263d5, criterion.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..mask2former.head import IGNORED, OUTLIER


def class_map(class_logits: Tensor, mask_logits: Tensor, no_object: bool = False) -> Tensor:
    """S of (B, Q, K + 1) class and (B, Q, h, w) mask logits: (B, K, h, w), or K + 1 with ``no_object``."""
    probs = class_logits.float().softmax(-1)
    probs = probs if no_object else probs[..., :-1]
    return torch.einsum('bqc,bqhw->bchw', probs, mask_logits.float().sigmoid())


def outlier_score(seg: Tensor, target: str, norm: str = 'none') -> Tensor:
    """A pixel's outlier score from S, (B, K, h, w) to (B, h, w).

    Args:
        target: ``nls`` (-sum of S after ``norm``: none, sigmoid or tanh; RbA is tanh), ``energy``
            (-logsumexp S), ``softmax_entropy`` (of softmax S), ``sum_entropy`` (of S divided by its sum).
    """
    if target == 'nls':
        return -dict(none=lambda x: x, sigmoid=torch.sigmoid, tanh=torch.tanh)[norm](seg).sum(1)
    if target == 'energy':
        return -seg.logsumexp(1)
    if target == 'softmax_entropy':
        return torch.special.entr(seg.softmax(1)).sum(1)
    if target == 'sum_entropy':
        return torch.special.entr(seg / seg.sum(1, keepdim=True)).sum(1)
    raise ValueError(f'outlier score {target!r}: expected nls, energy, softmax_entropy or sum_entropy')


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with aligned corners, for (B, C, h, w) or (B, h, w)."""
    if maps.dim() == 3:
        return upsample(maps[:, None], size)[:, 0]
    return F.interpolate(maps, size, mode='bilinear', align_corners=True)


def mean(values: Tensor) -> Tensor:
    """The mean; zero where there are no values."""
    return values.sum() / max(values.numel(), 1)


class PixelLoss(nn.Module):
    """A loss of one layer's predictions. ``last_only``: of the last layer alone."""

    last_only = False

    def __init__(self, loss_weight: float) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, ood_logits: Tensor | None = None
    ) -> Tensor:
        """The weighted loss, a scalar.

        Args:
            class_logits: (B, Q, K + 1), the last being "no object".
            mask_logits: (B, Q, h, w).
            labels: (B, H, W) integers: a class, 254 outlier, 255 ignored.
            ood_logits: (B, 2, h, w) of a dense outlier head, where there is one.
        """
        return self.loss_weight * self.loss(class_logits, mask_logits, labels, ood_logits)


@MODELS.register_module()
class OutlierLoss(PixelLoss):
    """Pushes a pixel score down on inliers and up on outliers.

    Args:
        target, norm: The score, see `outlier_score`. RbA's: nls, tanh.
        function: ``squared_hinge``, ``mse`` and ``l1`` are means over inliers and over outliers, halved
            where both exist; ``bce`` is halved binary cross entropy, for which ignored pixels are
            inliers; ``kl`` ignores the target and draws an inlier's S to one class, an outlier's to all
            (over all pixels, those of the other kind as zero vectors).
        inlier_threshold: Inlier scores above it cost (tau_in).
        outlier_threshold: Outlier scores below it cost (tau_out). The published models have 0 and 5.
    """

    def __init__(
        self,
        target: str = 'nls',
        norm: str = 'tanh',
        function: str = 'squared_hinge',
        inlier_threshold: float = 0.0,
        outlier_threshold: float = 5.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        outlier_score(torch.ones(1, 1, 1, 1), target, norm)
        if function not in ('squared_hinge', 'bce', 'mse', 'l1', 'kl'):
            raise ValueError(
                f'OutlierLoss: function {function!r}; expected squared_hinge, bce, mse, l1 or kl'
            )
        self.target, self.norm, self.function = target, norm, function
        self.inlier_threshold, self.outlier_threshold = inlier_threshold, outlier_threshold

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, _=None) -> Tensor:
        seg = class_map(class_logits, mask_logits)
        outlier = labels == OUTLIER
        inlier = ~outlier & (labels != IGNORED)
        if self.function == 'kl':
            return self._kl(upsample(seg, labels.shape[-2:]), inlier, outlier)
        score = upsample(outlier_score(seg, self.target, self.norm), labels.shape[-2:])
        if self.function == 'bce':
            return 0.5 * F.binary_cross_entropy_with_logits(score, outlier.float())
        below, above = score[inlier] - self.inlier_threshold, self.outlier_threshold - score[outlier]
        cost = dict(squared_hinge=lambda x: x.relu().square(), mse=torch.square, l1=torch.abs)[self.function]
        return _halved(mean(cost(below)), mean(cost(above)), outlier)

    @staticmethod
    def _kl(seg: Tensor, inlier: Tensor, outlier: Tensor) -> Tensor:
        """KL divergences to the softmax of a one-hot vector at the largest entry, and to the uniform one."""
        classes = seg.shape[1]
        log_probs = (seg * inlier[:, None]).log_softmax(1)
        first, rest = torch.tensor([1.0] + [0.0] * (classes - 1)).softmax(0)[:2].tolist()
        entropy = first * _log(first) + (classes - 1) * rest * _log(rest)
        largest = log_probs.amax(1)
        to_one = entropy - (first - rest) * largest - rest * log_probs.sum(1)
        to_all = -_log(classes) - (seg * outlier[:, None]).log_softmax(1).mean(1)
        return _halved(to_one.mean() / classes, to_all.mean() / classes, outlier)


def _log(value: float) -> float:
    return torch.tensor(value, dtype=torch.float64).log().item()


def _halved(inlier: Tensor, outlier: Tensor, mask: Tensor) -> Tensor:
    """The mean of both terms where there are outliers, else the inliers' alone."""
    return (inlier + outlier) / 2 if mask.any() else inlier


@MODELS.register_module()
class MaskContrastiveLoss(PixelLoss):
    """Half of mean s^2 over inliers plus mean relu(margin - s)^2 over outliers, s = offset - max_c S_c; ignored pixels
    are inliers (Mask2Anomaly, shyam671/Mask2Anomaly-Unmasking-Anomalies-in-Road-Scene-Segmentation@5c84283).

    Args:
        margin: Outlier scores below it cost.
        offset: The paper's score has 1 and its margin is 0.75; the published code has 0 and 1, where the inliers' term
            draws all classes of an inlier to 0 and the others' losses must hold against it.
    """

    def __init__(self, margin: float = 1.0, offset: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.margin, self.offset = margin, offset

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, _=None) -> Tensor:
        score = self.offset - class_map(class_logits, mask_logits).amax(1)
        score = upsample(score, labels.shape[-2:])
        outlier = labels == OUTLIER
        below = (self.margin - score[outlier]).relu()
        return (mean(score[~outlier].square()) + mean(below.square())) / 2


@MODELS.register_module()
class SmoothnessLoss(PixelLoss):
    """Half the squared differences of neighboring scores, summed, at the masks' resolution (PEBAL)."""

    def __init__(self, target: str = 'energy', norm: str = 'none', loss_weight: float = 3e-6) -> None:
        super().__init__(loss_weight)
        self.target, self.norm = target, norm

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, _=None) -> Tensor:
        score = outlier_score(class_map(class_logits, mask_logits), self.target, self.norm)
        return (score.diff(dim=1).square().sum() + score.diff(dim=2).square().sum()) / 2


@MODELS.register_module()
class SparsityLoss(PixelLoss):
    """The Euclidean norm of the scores of all outlier pixels (PEBAL)."""

    def __init__(self, target: str = 'energy', norm: str = 'none', loss_weight: float = 5e-4) -> None:
        super().__init__(loss_weight)
        self.target, self.norm = target, norm

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, _=None) -> Tensor:
        score = outlier_score(class_map(class_logits, mask_logits), self.target, self.norm)
        return upsample(score, labels.shape[-2:])[labels == OUTLIER].norm()


@MODELS.register_module()
class GamblerLoss(PixelLoss):
    """PEBAL's abstention loss (https://arxiv.org/abs/2111.12264) on K + 1 classes, "no object" being the
    abstention: -log(p_label + p_abstain / reward) over inliers, the same over all classes times ``ood_reg``
    over outliers. The reward is the squared energy, blurred (7x7, sigma 1).
    """

    def __init__(self, ood_reg: float = 0.1, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.ood_reg = ood_reg

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, _=None) -> Tensor:
        seg = upsample(class_map(class_logits, mask_logits, no_object=True), labels.shape[-2:])
        probs, reward = seg.softmax(1), blur(seg[:, :-1].logsumexp(1).square())
        abstain = probs[:, -1] / reward
        probs = probs[:, :-1]
        outlier = labels == OUTLIER
        inlier = ~outlier & (labels != IGNORED)
        of_label = probs.gather(1, labels.where(inlier, 0).long()[:, None])[:, 0]
        loss = -mean((of_label + abstain)[inlier].log())
        boosted = (probs + abstain[:, None]).movedim(1, -1)[outlier]
        return loss - self.ood_reg * mean(boosted.clamp(min=1e-7).log())


def blur(maps: Tensor, size: int = 7, sigma: float = 1.0) -> Tensor:
    """A Gaussian blur of (B, H, W) with reflected borders."""
    x = torch.arange(size, device=maps.device, dtype=maps.dtype) - size // 2
    kernel = (-0.5 * (x / sigma).square()).exp()
    kernel = kernel / kernel.sum()
    padded = F.pad(maps[:, None], [size // 2] * 4, mode='reflect')
    return F.conv2d(padded, torch.outer(kernel, kernel)[None, None])[:, 0]


@MODELS.register_module()
class DenseHybridLoss(PixelLoss):
    """DenseHybrid (https://arxiv.org/abs/2207.02606) on S: cross entropy of the classes, plus ``beta``
    times the outliers' energy, plus ten times ``beta`` the cross entropy of the outlier head, for which
    ignored pixels are inliers.
    """

    last_only = True

    def __init__(self, beta: float = 0.03, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.beta = beta

    def loss(self, class_logits: Tensor, mask_logits: Tensor, labels: Tensor, ood_logits: Tensor) -> Tensor:
        if ood_logits is None:
            raise ValueError('DenseHybridLoss needs the outlier head: decode_head=dict(ood_head=True)')
        seg = upsample(class_map(class_logits, mask_logits), labels.shape[-2:])
        outlier = labels == OUTLIER
        known = ~outlier & (labels != IGNORED)
        of_label = seg.log_softmax(1).gather(1, labels.where(known, 0).long()[:, None])[:, 0]
        energy = mean(seg.logsumexp(1)[outlier] - seg.mean().detach())
        head = F.cross_entropy(upsample(ood_logits.float(), labels.shape[-2:]), outlier.long())
        return -mean(of_label[known]) + self.beta * energy + 10 * self.beta * head
