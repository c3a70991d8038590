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
    slot = labels.clamp(max=num_classes - 1).where(
        labels <= num_classes, torch.full_like(labels, num_classes)
    )
    counts = label_mass(slot, torch.ones_like(labels, dtype=torch.float32), num_classes)[:, :num_classes]
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def boundary(labels: Tensor) -> Tensor:
    """Pixels with a differing 4-neighbor inside the image: (N, H, W) to bool of the same shape."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    vertical = labels[:, 1:] != labels[:, :-1]
    horizontal = labels[:, :, 1:] != labels[:, :, :-1]
    edge[:, 1:] |= vertical
    edge[:, :-1] |= vertical
    edge[:, :, 1:] |= horizontal
    edge[:, :, :-1] |= horizontal
    return edge


def relaxed_pixels(
    labels: Tensor, num_classes: int, strict: Sequence[int], border: int = 1
) -> tuple[Tensor, Tensor]:
    """Pixels with several labels in their window, and which (Zhu et al., arXiv 1812.01593, section 3.3).

    All other pixels keep their one label, so that a loss needs a multi-hot target for these alone.

    Args:
        labels: (N, H, W) int64 in 0 to ``num_classes``, the last one for ignored pixels;
            outside of the image counts as ignored.
        num_classes: Classes C.
        strict: Classes whose pixels keep their own label alone.
        border: Half the window's width; 1 is 3x3.

    Returns:
        The pixels' places in ``labels.flatten()``, (k,), and their targets, bool (k, C + 1).
    """
    n, h, w = labels.shape
    padded = F.pad(labels, [border] * 4, value=num_classes)
    small = padded.to(torch.int16)  # comparing is a matter of memory
    center = small[:, border : border + h, border : border + w]
    relaxed = torch.zeros_like(labels, dtype=torch.bool)
    shifts = [(y, x) for y in range(2 * border + 1) for x in range(2 * border + 1)]
    for y, x in shifts:
        relaxed |= small[:, y : y + h, x : x + w] != center
    for c in strict:
        relaxed &= center != c
    image, row, column = relaxed.nonzero(as_tuple=True)
    target = torch.zeros(len(image), num_classes + 1, dtype=torch.bool, device=labels.device)
    for y, x in shifts:
        target.scatter_(1, padded[image, row + y, column + x][:, None], True)
    return (image * h + row) * w + column, target


class _NamedLoss(nn.Module):
    """What mmseg's heads expect of a loss: a name and the calling convention."""

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
        # an image without a labeled pixel has no loss
        return (pixel * nll).sum((1, 2)) / pixel.sum((1, 2)).clamp_min(1e-12)


@MODELS.register_module()
class JointWeightedBorderLoss(_NamedLoss):
    """Relaxed-label loss: at borders every class within 3x3 pixels counts as right.

    With m_c = 1 for a class in the window (strict classes: the pixel's own), B = sum m_c,
    -1/B sum_c m_c w_c log sum_j m_j p_j per pixel, summed over the image and divided by
    its pixels that are not ignored + 1; w_c = 1 + wt_bound * (1 - share of m_c's mass).
    After the relaxation is switched off (``relax = False``, see ``BorderRelaxationHook``)
    labels are their own and pixels at borders weigh 2.

    The published code writes log max(p_c, m_c sum_j m_j p_j), the same thing, but gives
    NaN when a probability underflows; and applies every image's border weights to
    every image of a batch, which is right for one image per GPU alone. This class does neither.

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

    def per_image(self, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
        """The loss of every image, (N,)."""
        n, num_classes, h, w = logits.shape
        known = (labels != ignore_index) & (labels >= 0) & (labels < num_classes)
        labels = labels.where(known, torch.full_like(labels, num_classes))
        if self.relax:
            index, target = relaxed_pixels(labels, num_classes, self.strict_classes, self.border)
            pixel = torch.ones_like(labels, dtype=logits.dtype)
            pixel.view(-1)[index] = 0  # these have several labels
        else:
            index, target = labels.new_zeros(0), None
            pixel = 1 + boundary(labels).to(logits.dtype)
        image = index // (h * w)
        mass = label_mass(labels, pixel, num_classes)
        if target is not None:
            mass.index_add_(0, image, target.to(mass))
        weights = class_weights(mass / mass.sum(1, keepdim=True), self.wt_bound)
        weights[:, num_classes] = 0
        ignored = ((labels == num_classes) & (pixel > 0)).sum((1, 2))

        nll = F.cross_entropy(logits, labels, reduction='none', ignore_index=num_classes)
        pixel = pixel * weights.gather(1, labels.flatten(1)).view_as(nll)
        if weight is not None:
            pixel = pixel * weight
        total = (pixel * nll).sum((1, 2))
        if target is not None:
            target = target[:, :num_classes]
            # classes first: a gather, whose gradient is faster than that of indexing
            columns = logits.transpose(0, 1).reshape(num_classes, -1)
            chosen = columns.gather(1, index.expand(num_classes, -1)).T
            union = chosen.masked_fill(~target, -torch.inf).logsumexp(1) - chosen.logsumexp(1)
            factor = (target * weights[image, :num_classes]).sum(1) / target.sum(1)
            if weight is not None:
                factor = factor * weight.flatten()[index]
            total = total.index_add(0, image, -factor * union)
        return total / (h * w - ignored + 1)


def label_mass(labels: Tensor, pixel: Tensor, num_classes: int) -> Tensor:
    """Sum of the pixels' weights (N, H, W) by label 0 to ``num_classes``: (N, num_classes + 1)."""
    n = len(labels)
    offset = torch.arange(n, device=labels.device).view(-1, 1, 1) * (num_classes + 1)
    # in float64: float32 stops counting at 2^24
    mass = torch.bincount((labels + offset).flatten(), pixel.double().flatten(), n * (num_classes + 1))
    return mass.view(n, -1).to(pixel)
