"""Cosine logits over a learned temperature (AbeT), exact at any resolution in little memory.

AbeT: Patil et al., "AbeT: Ablated Learned Temperature Energy for
Out-of-Distribution Detection" (arXiv 2401.12129). For a feature vector x and
the class vectors w_c::

    T   = sigmoid(BN(linear(x))) + 1e-12
    g_c = < x / (|x| + 1e-4), w_c / (|w_c| + 1e-4) >
    z_c = g_c / T

The published segmentation head upsamples x (256 channels) to the image and
computes this there, 2.1 GB for 1024 x 2048 pixels. Linear maps commute with
bilinear upsampling, the norm |x| does not; but with upsampling weights a_i of
the four neighbors x_i,

    |sum_i a_i x_i|^2 = sum_ij a_i a_j <x_i, x_j>,

so four maps of inner products at low resolution (with itself, the right, the
lower and the two diagonal neighbors) give it exactly. What is upsampled is
then C + 5 channels in place of 256, in rows of any number.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

EPS = 1e-4
MIN_TEMPERATURE = 1e-12
#: Rows of features whose products are formed at once.
BLOCK_ROWS = 8


class TemperatureMaps(NamedTuple):
    """What the full-resolution head needs, at the resolution of the features.

    Attributes:
        dots: <x, w_c / (|w_c| + eps)>, (N, C, h, w).
        heat: The temperature's linear map of x before its normalization, (N, 1, h, w).
        gram: <x, x>, <x, right>, <x, lower> and the sum over both diagonals of
            a cell, (N, 4, h, w); 0 where there is no neighbor.
    """

    dots: Tensor
    heat: Tensor
    gram: Tensor


def upsampling_taps(
    size_in: int, size_out: int, start: int, stop: int, align_corners: bool, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Indices and weight of bilinear upsampling for outputs ``start`` to ``stop``.

    Returns:
        ``(low, high, share)``: output i is (1 - share) * in[low] + share * in[high],
        with ``high = low + 1`` wherever the input has two elements (PyTorch's convention).
    """
    # in float32 as torch.nn.functional.interpolate does, so that both agree to the last digits
    out = torch.arange(start, stop, dtype=torch.float32, device=device)
    if align_corners:
        scale = torch.tensor((size_in - 1) / (size_out - 1) if size_out > 1 else 0.0)
        position = out * scale.to(device)
    else:
        scale = torch.tensor(size_in / size_out)
        position = ((out + 0.5) * scale.to(device) - 0.5).clamp(0, size_in - 1)
    low = position.floor().long().clamp(0, max(size_in - 2, 0))
    share = position - low
    return low, (low + 1).clamp(max=size_in - 1), share


def gram_maps(x: Tensor, rows: int | None = None) -> Tensor:
    """Inner products of neighboring feature vectors: (N, D, h, w) to (N, 4, rows, w).

    ``rows`` (default: h) is h, or h - 1 where the last row only serves as neighbor.
    """
    rows = rows or x.shape[2]
    own, lower = x[:, :, :rows], x[:, :, 1:]
    beside = (own[..., :-1] * own[..., 1:]).sum(1)
    below = (own[:, :, : lower.shape[2]] * lower).sum(1)
    upper = own[:, :, : lower.shape[2]]
    diagonals = (upper[..., :-1] * lower[..., 1:]).sum(1) + (upper[..., 1:] * lower[..., :-1]).sum(1)
    # places without a neighbor have no weight in any cell
    beside = F.pad(beside, (0, 1))
    below = F.pad(below, (0, 0, 0, rows - lower.shape[2]))
    diagonals = F.pad(diagonals, (0, 1, 0, rows - lower.shape[2]))
    return torch.stack([(own * own).sum(1), beside, below, diagonals], 1)


class BilinearRows:
    """Bilinear upsampling of some rows: (h, w) to rows ``start`` to ``stop`` of ``size``."""

    def __init__(
        self,
        in_size: tuple[int, int],
        size: tuple[int, int],
        start: int,
        stop: int,
        align_corners: bool,
        device: torch.device,
    ) -> None:
        self.top, self.bottom, share = upsampling_taps(
            in_size[0], size[0], start, stop, align_corners, device
        )
        self.fy = share[:, None]
        self.left, self.right, self.fx = upsampling_taps(
            in_size[1], size[1], 0, size[1], align_corners, device
        )
        self.width, self.align_corners = size[1], align_corners

    def linear(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, stop - start, W)."""
        rows = torch.lerp(x[:, :, self.top], x[:, :, self.bottom], self.fy)
        # with equal heights this interpolates within the rows alone
        return F.interpolate(
            rows, (rows.shape[2], self.width), mode='bilinear', align_corners=self.align_corners
        )

    def squared_norm(self, gram: Tensor) -> Tensor:
        """|upsampled x|^2 of :func:`gram_maps`'s (N, 4, h, w): (N, 1, stop - start, W)."""
        fy, fx = self.fy, self.fx
        up, down, cross = (1 - fy) ** 2, fy**2, 2 * fy * (1 - fy)
        own = up * gram[:, 0, self.top] + down * gram[:, 0, self.bottom] + cross * gram[:, 2, self.top]
        beside = up * gram[:, 1, self.top] + down * gram[:, 1, self.bottom] + cross / 2 * gram[:, 3, self.top]
        squared = (
            (1 - fx) ** 2 * own[..., self.left]
            + fx**2 * own[..., self.right]
            + 2 * fx * (1 - fx) * beside[..., self.left]
        )
        return squared[:, None]


def cosine_weight(weight: Tensor) -> Tensor:
    """Class vectors (C, D) over (length + eps)."""
    return weight / (weight.norm(dim=1, keepdim=True) + EPS)


@MODELS.register_module()
class LearnedTemperature(BaseModule):
    """The classifier of AbeT for feature maps: cosine logits over a learned temperature.

    Computes in float32 whatever the autocast state (1e-12 is 0 in float16). The
    temperature's normalization is a plain BatchNorm2d, not synchronized, as published.

    Args:
        in_channels: Channels D of the features.
        num_classes: Classes C.
        init_cfg: Initialization; none by default (Kaiming normal for the class vectors).
    """

    def __init__(self, in_channels: int, num_classes: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.cosine = nn.Conv2d(in_channels, num_classes, 1, bias=False)
        self.conv = nn.Conv2d(in_channels, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(1)
        nn.init.kaiming_normal_(self.cosine.weight, nonlinearity='relu')

    def maps(self, x: Tensor) -> TemperatureMaps:
        """The low-resolution maps of features (N, D, h, w), in float32."""
        with torch.autocast(x.device.type, enabled=False):
            weight = cosine_weight(self.cosine.weight.float().flatten(1))
            weight = torch.cat([weight, self.conv.weight.float().flatten(1)])
            linear, gram = [], []
            for top in range(0, x.shape[2], BLOCK_ROWS):  # products of all rows would double the memory
                block = x[:, :, top : top + BLOCK_ROWS + 1].float()
                height = min(BLOCK_ROWS, x.shape[2] - top)
                linear.append(torch.einsum('cd,ndhw->nchw', weight, block[:, :, :height]))
                gram.append(gram_maps(block, height))
            dots, heat = torch.cat(linear, 2).split([len(weight) - 1, 1], 1)
            return TemperatureMaps(dots, heat, torch.cat(gram, 2))

    def rows(
        self, maps: TemperatureMaps, size: tuple[int, int], start: int, stop: int, align_corners: bool
    ) -> tuple[Tensor, Tensor]:
        """Rows ``start`` to ``stop`` of the head at ``size``.

        In training mode the rows must be all rows: the batch statistics of the
        temperature are those of the upsampled map.

        Returns:
            ``(g, T)``: cosine logits (N, C, stop - start, W) in [-1, 1] and the
            temperature (N, 1, stop - start, W) in (0, 1]. The logits are ``g / T``.
        """
        with torch.autocast(maps.dots.device.type, enabled=False):
            bilinear = BilinearRows(maps.dots.shape[2:], size, start, stop, align_corners, maps.dots.device)
            temperature = self.bn(bilinear.linear(maps.heat)).sigmoid() + MIN_TEMPERATURE
            # not below 1e-20: the gradient of sqrt at 0 is infinite, that of the published norm is 0
            norm = bilinear.squared_norm(maps.gram).clamp_min(1e-20).sqrt()
            return bilinear.linear(maps.dots) / (norm + EPS), temperature

    def forward(
        self, x: Tensor, size: tuple[int, int] | None = None, align_corners: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Cosine logits and temperature of features (N, D, h, w) upsampled to ``size``.

        Returns:
            ``(g, T)`` of shapes (N, C, H, W) and (N, 1, H, W); see :meth:`rows`.
        """
        size = tuple(size or x.shape[2:])
        return self.rows(self.maps(x), size, 0, size[0], align_corners)
