"""The losses of AbeT's two segmentation stages (published with NVIDIA's semantic segmentation code).

Both weigh classes per image by their share of it and sum over the images of a
batch; both compute in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

#: Train ids that are never relaxed: pole, traffic light, traffic sign, person, rider, motorcycle, bicycle.
STRICT_CLASSES = (5, 6, 7, 11, 12, 17, 18)


def class_weights(shares: Tensor, bound: float) -> Tensor:
    """1 + bound * (1 - share) for classes that occur, else 1; any shape, shares in [0, 1]."""
    return (shares != 0) * bound * (1 - shares) + 1


def label_shares(labels: Tensor, num_classes: int) -> Tensor:
    """Share of every class among an image's labels: (N, H, W) int64 to (N, num_classes).

    Labels of 0 to ``num_classes`` count, and the label ``num_classes`` counts as the
    last class: the published code takes NumPy's histogram, whose last bin is closed.
    That concerns Mapillary, where 65 is the ignored label; 255 counts nowhere.
    """
    flat = labels.flatten(1)
    # one histogram for the batch: images take disjoint ranges
    slot = torch.where(flat <= num_classes, flat.clamp(max=num_classes - 1), num_classes)
    offset = torch.arange(len(flat), device=flat.device)[:, None] * (num_classes + 1)
    counts = torch.bincount((slot + offset).flatten(), minlength=len(flat) * (num_classes + 1))
    counts = counts.view(len(flat), num_classes + 1)[:, :num_classes].float()
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def boundary(labels: Tensor) -> Tensor:
    """Pixels with a differing 4-neighbour inside the image: (N, H, W) to bool of the same shape."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    vertical = labels[:, 1:] != labels[:, :-1]
    horizontal = labels[:, :, 1:] != labels[:, :, :-1]
    edge[:, 1:] |= vertical
    edge[:, :-1] |= vertical
    edge[:, :, 1:] |= horizontal
    edge[:, :, :-1] |= horizontal
    return edge


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """(N, H, W) in 0 to ``num_classes`` (the last one: ignored) to bool (N, num_classes + 1, H, W)."""
    classes = torch.arange(num_classes + 1, device=labels.device).view(1, -1, 1, 1)
    return labels[:, None] == classes


def relaxed_target(labels: Tensor, num_classes: int, strict: Sequence[int], border: int = 1) -> Tensor:
    """Every class in the window around a pixel (Zhu et al., arXiv 1812.01593, section 3.3).

    Args:
        labels: (N, H, W) int64; anything outside 0 to ``num_classes`` - 1 is ignored.
        num_classes: Classes C.
        strict: Classes whose pixels keep their own label alone.
        border: Half the window's width; 1 is 3x3.

    Returns:
        Bool (N, C + 1, H, W); column C says that the window reaches an ignored pixel or out of the image.
    """
    labels = torch.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    target = one_hot(F.pad(labels, [border] * 4, value=num_classes), num_classes)
    for dim in (2, 3):  # a square window is a column of rows
        size = target.shape[dim] - 2 * border
        spread = target.narrow(dim, 0, size).clone()
        for shift in range(1, 2 * border + 1):
            spread |= target.narrow(dim, shift, size)
        target = spread
    if strict:
        is_strict = torch.isin(labels, torch.tensor(tuple(strict), device=labels.device))
        target = torch.where(is_strict[:, None], one_hot(labels, num_classes), target)
    return target


class _NamedLoss(nn.Module):
    """What mmseg's heads ask of a loss: a name and the calling convention."""

    def __init__(self, wt_bound: float, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self.wt_bound, self.loss_weight, self._loss_name = wt_bound, loss_weight, loss_name

    @property
    def loss_name(self) -> str:
        """Name under which heads log the loss."""
        return self._loss_name

    def forward(
        self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255, **_
    ) -> Tensor:
        """The loss of logits (N, C, H, W) and labels (N, H, W): a scalar, summed over images.

        Args:
            weight: Extra weight per pixel (N, H, W) of a pixel sampler.
            ignore_index: The label that does not count.
        """
        with torch.autocast(cls_score.device.type, enabled=False):
            return (
                self.loss_weight * self.per_image(cls_score.float(), label.long(), weight, ignore_index).sum()
            )


@MODELS.register_module()
class ImageWeightedLoss(_NamedLoss):
    """Cross entropy whose class weights come from each image's own label shares.

    Per image w_c = 1 + wt_bound * (1 - share_c) for the classes in it, and the mean of
    w_y * -log p_y over sum w_y; the images of a batch are summed.

    Args:
        wt_bound: Upper bound of the additional weight (6 for Mapillary).
        loss_weight: Factor of the loss.
        loss_name: Name in the log.
    """

    def __init__(
        self, wt_bound: float = 6.0, loss_weight: float = 1.0, loss_name: str = 'loss_image_weighted'
    ) -> None:
        super().__init__(wt_bound, loss_weight, loss_name)

    def per_image(self, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
        """The loss of every image, (N,)."""
        num_classes = logits.shape[1]
        weights = class_weights(label_shares(labels, num_classes), self.wt_bound)
        valid = (labels != ignore_index) & (labels >= 0) & (labels < num_classes)
        safe = labels.where(valid, torch.zeros_like(labels))
        nll = F.cross_entropy(logits, safe, reduction='none')
        pixel = weights.gather(1, safe.flatten(1)).view_as(nll) * valid
        if weight is not None:
            pixel = pixel * weight
        # an image without a labelled pixel has no loss
        return (pixel * nll).sum((1, 2)) / pixel.sum((1, 2)).clamp_min(1e-12)


@MODELS.register_module()
class JointWeightedBorderLoss(_NamedLoss):
    """Relaxed-label loss: at borders the union of the classes within 3x3 pixels is to be likely.

    With m_c = 1 for a class in the window (strict classes: the pixel's own), B = sum m_c,
    -1/B sum_c m_c w_c log sum_j m_j p_j per pixel, summed over the image and divided by
    its pixels that are not ignored + 1; w_c = 1 + wt_bound * (1 - share of m_c's mass).
    After the relaxation is switched off (``relax = False``, see ``BorderRelaxationHook``)
    labels are their own and pixels at borders weigh 2.

    The published code writes log max(p_c, m_c sum_j m_j p_j), the same thing, but gives
    NaN when a probability underflows; and applies every image's border weights to
    every image of a batch, which is right for one image per GPU alone. Here neither.

    Args:
        wt_bound: Upper bound of the additional weight (1 for Cityscapes).
        strict_classes: Classes that are never relaxed.
        border: Half the window's width.
        loss_weight: Factor of the loss.
        loss_name: Name in the log.
    """

    def __init__(
        self,
        wt_bound: float = 1.0,
        strict_classes: Sequence[int] = STRICT_CLASSES,
        border: int = 1,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_joint_border',
    ) -> None:
        super().__init__(wt_bound, loss_weight, loss_name)
        self.strict_classes, self.border = tuple(strict_classes), border
        self.relax = True

    def target(self, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """The multi-hot target, bool (N, C + 1, H, W), and the pixels' weights, (N, H, W) of 1 or 2."""
        if self.relax:
            target = relaxed_target(labels, num_classes, self.strict_classes, self.border)
            return target, torch.ones_like(labels, dtype=torch.float32)
        labels = torch.where((labels >= 0) & (labels < num_classes), labels, num_classes)
        return one_hot(labels, num_classes), 1.0 + boundary(labels).float()

    def per_image(self, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
        """The loss of every image, (N,)."""
        num_classes = logits.shape[1]
        labels = labels.where(labels != ignore_index, torch.full_like(labels, -1))
        target, border = self.target(labels, num_classes)
        mass = torch.einsum('nchw,nhw->nc', target.float(), border)
        weights = class_weights(mass / mass.sum(1, keepdim=True), self.wt_bound)[:, :num_classes]
        target = target[:, :num_classes]
        count = target.sum(1)
        factor = torch.einsum('nchw,nc->nhw', target.float(), weights) / count.clamp_min(1) * border
        if weight is not None:
            factor = factor * weight
        # ignored pixels take all classes: log 1 = 0, and no gradient
        target = target | (count == 0)[:, None]
        union = logits.masked_fill(~target, -torch.inf).logsumexp(1) - logits.logsumexp(1)
        ignored = (count == 0).sum((1, 2))
        return -(factor * union).sum((1, 2)) / (labels[0].numel() - ignored + 1)
