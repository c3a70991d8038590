"""mmcv's operators in ONNX's own: RoiAlign, NonMaxSuppression and, for deformable convolutions, GridSample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import mmcv.ops
import torch
import torch.nn.functional as F
from mmdet.models.backbones.swin import ShiftWindowMSA
from torch import Tensor, nn


class _RoIAlign(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, boxes: Tensor, image: Tensor, size: int, scale: float, ratio: int, aligned: bool
    ) -> Tensor:
        rois = torch.cat([image[:, None].to(boxes), boxes], 1)
        return mmcv.ops.roi_align(x, rois, (size, size), scale, ratio, 'avg', aligned)

    @staticmethod
    def symbolic(
        g: Any, x: Any, boxes: Any, image: Any, size: int, scale: float, ratio: int, aligned: bool
    ) -> Any:
        mode = 'half_pixel' if aligned else 'output_half_pixel'
        return g.op(
            'RoiAlign', x, boxes, image, coordinate_transformation_mode_s=mode, mode_s='avg',
            output_height_i=size, output_width_i=size, sampling_ratio_i=ratio, spatial_scale_f=scale,
        )  # fmt: skip


def roi_align(x: Tensor, boxes: Tensor, image: Tensor, layer: nn.Module) -> Tensor:
    """mmcv's ``RoIAlign`` as ONNX's RoiAlign (with 0 for the sampling ratio, samples as many as the bin has pixels).

    Args:
        x: Maps (B, C, H, W).
        boxes: (n, 4) in pixels of the network's input.
        image: (n,) int64, which of the B maps a box is of.
        layer: The ``mmcv.ops.RoIAlign``.

    Returns:
        (n, C, size, size).

    Raises:
        ValueError: The layer takes maxima, or its bins are not square.
    """
    height, width = layer.output_size
    if layer.pool_mode != 'avg' or height != width:
        raise ValueError(f'{layer} is none that ONNX has: pool_mode="avg" and square bins are')
    scale, ratio = float(layer.spatial_scale), int(layer.sampling_ratio)
    return _RoIAlign.apply(x, boxes, image, height, scale, ratio, bool(layer.aligned))


class _NonMaxSuppression(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, most: int, iou: float) -> Tensor:
        found = []
        for image, (own, rows) in enumerate(zip(boxes, scores)):
            for label, score in enumerate(rows):
                index = (score > 0).nonzero()[:, 0]
                if torch.jit.is_tracing():  # the values do not matter, but every step would be recorded
                    keep = torch.arange(min(most, len(own)))
                else:
                    keep = mmcv.ops.nms(own[index], score[index], iou)[1][:most] if len(index) else index
                    keep = index[keep]
                found.append(
                    torch.stack([torch.full_like(keep, image), torch.full_like(keep, label), keep], 1)
                )
                if torch.jit.is_tracing():
                    break
        return torch.cat(found)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, most: int, iou: float) -> Any:
        limits = (torch.tensor([most]), torch.tensor([iou]), torch.tensor([0.0]))
        return g.op('NonMaxSuppression', boxes, scores, *(g.op('Constant', value_t=v) for v in limits))


def non_max_suppression(boxes: Tensor, scores: Tensor, iou: float, most: int) -> Tensor:
    """ONNX's NonMaxSuppression of boxes (B, n, 4) with scores (B, C, n), those of 0 or less left out: (m, 3) int64
    image, class and box, image by image and class by class, best first, ``most`` of each."""
    return _NonMaxSuppression.apply(boxes, scores, int(most), float(iou))


def deform_conv(
    x: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    deform_groups: int,
) -> Tensor:
    """Deformable convolution (v2 with a mask) by sampling every tap with ``grid_sample``.

    Args:
        x: (B, C, H, W).
        offset: (B, 2 * deform_groups * taps, h, w), (dy, dx) of every tap. Larger maps, which DyHead gives, are read as
            mmcv reads them: their first numbers in memory as if they were of size (h, w).
        mask: (B, deform_groups * taps, h, w) factors, or None.
        weight: (D, C / groups, rows, cols).

    Returns:
        (B, D, h, w).
    """
    batch, channels, height, width = x.shape
    rows, cols = weight.shape[2:]
    taps = rows * cols
    h = (height + 2 * padding[0] - dilation[0] * (rows - 1) - 1) // stride[0] + 1
    w = (width + 2 * padding[1] - dilation[1] * (cols - 1) - 1) // stride[1] + 1
    offset = offset.flatten(1)[:, : 2 * deform_groups * taps * h * w]
    offset = offset.reshape(batch * deform_groups, taps, 2, h, w)
    tap = torch.arange(taps)
    down = (tap // cols * dilation[0] - padding[0]).float()[:, None, None]
    across = (tap % cols * dilation[1] - padding[1]).float()[:, None, None]
    y = offset[:, :, 0] + down + (torch.arange(h) * stride[0]).float()[:, None]
    x_ = offset[:, :, 1] + across + (torch.arange(w) * stride[1]).float()
    grid = torch.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    grid = grid.reshape(batch * deform_groups, taps * h, w, 2)
    maps = x.reshape(batch * deform_groups, channels // deform_groups, height, width)
    sampled = F.grid_sample(maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
    sampled = sampled.reshape(batch * deform_groups, channels // deform_groups, taps, h, w)
    if mask is not None:
        mask = mask.flatten(1)[:, : deform_groups * taps * h * w]
        sampled = sampled * mask.reshape(batch * deform_groups, 1, taps, h, w)
    columns = sampled.reshape(batch, groups, channels // groups * taps, h * w)
    kernel = weight.reshape(1, groups, weight.shape[0] // groups, channels // groups * taps)
    out = (kernel @ columns).reshape(batch, weight.shape[0], h, w)
    return out if bias is None else out + bias[:, None, None]


def _deform_conv2d(input, offset, weight, stride=1, padding=0, dilation=1, groups=1, deform_groups=1, *args):
    pairs = map(torch.nn.modules.utils._pair, (stride, padding, dilation))
    return deform_conv(input, offset, None, weight, None, *pairs, groups, deform_groups)


def _modulated_deform_conv2d(
    input, offset, mask, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, deform_groups=1
):
    pairs = map(torch.nn.modules.utils._pair, (stride, padding, dilation))
    return deform_conv(input, offset, mask, weight, bias, *pairs, groups, deform_groups)


def adaptive_max_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """``F.adaptive_max_pool2d`` for sizes that are known when the graph runs: bin i covers the pixels from
    floor(i * n / m) to ceil((i + 1) * n / m)."""
    for axis, count in ((2, size[0]), (3, size[1])):
        length, bins = x.shape[axis], torch.arange(count)
        first, last = bins * length // count, ((bins + 1) * length + count - 1) // count - 1
        taps = torch.minimum(first[:, None] + torch.arange((last - first).amax() + 1), last[:, None])
        # not by unflatten, whose size the exporter takes for constant
        x = x[(slice(None),) * axis + (taps,)].amax(axis + 1)
    return x


def _argsort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """By TopK: the exporter has no stable sort, and ONNX's TopK takes the first of equal values."""
    return x.topk(x.shape[dim], dim, largest=descending).indices


def _logsumexp(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """Without ReduceLogSumExp, of which OpenVINO 2026.4 sums over all axes."""
    most = x.amax(dim, keepdim=True)
    total = (x - most).exp().sum(dim, keepdim=True).log() + most
    return total if keepdim else total.squeeze(dim)


def _in_projection_packed(
    q: Tensor, k: Tensor, v: Tensor, weight: Tensor, bias: Tensor | None = None
) -> list[Tensor]:
    """Attention's queries, keys and values one by one: of two in one the exporter takes the number for a constant."""
    biases = [None] * 3 if bias is None else bias.chunk(3)
    return [F.linear(x, w, b) for x, w, b in zip((q, k, v), weight.chunk(3), biases)]


def window_attention(self: ShiftWindowMSA, query: Tensor, hw_shape: tuple[Any, Any]) -> Tensor:
    """mmdet's ``ShiftWindowMSA.forward`` for maps of any number and size. Of its own, which maps there are and whether
    they are padded would be decided once, when it is recorded.

    Args:
        query: (B, H * W, C).
        hw_shape: H and W.

    Returns:
        (B, H * W, C).
    """
    (batch, _, channels), (height, width) = query.shape, hw_shape
    side, shift, mask = self.window_size, self.shift_size, None
    x = F.pad(query.view(batch, height, width, channels), (0, 0, 0, -width % side, 0, -height % side))
    rows, cols = x.shape[1], x.shape[2]
    if shift:
        x = x.roll((-shift, -shift), (1, 2))  # what comes around is no neighbor of what is there
        part, other = (
            (torch.arange(n) >= n - side).int() + (torch.arange(n) >= n - shift).int() for n in (rows, cols)
        )
        part = (part[:, None] * 3 + other).view(rows // side, side, cols // side, side)
        part = part.transpose(1, 2).reshape(-1, side * side)
        mask = (part[:, None] != part[:, :, None]).to(x) * -100
    x = x.view(batch, rows // side, side, cols // side, side, channels).transpose(2, 3)
    x = self.w_msa(x.reshape(-1, side * side, channels), mask)
    x = x.view(batch, rows // side, cols // side, side, side, channels).transpose(2, 3)
    x = x.reshape(batch, rows, cols, channels)
    if shift:
        x = x.roll((shift, shift), (1, 2))
    return self.drop(x[:, :height, :width].reshape(batch, height * width, channels))


@contextmanager
def standard_operators() -> Iterator[None]:
    """Inside, mmcv's and PyTorch's functions that ONNX lacks, or has for fixed sizes alone, are those of this file."""
    from mmcv.ops import deform_conv as first
    from mmcv.ops import modulated_deform_conv as second

    with ExitStack() as stack:
        stack.enter_context(patch.object(first, 'deform_conv2d', _deform_conv2d))
        stack.enter_context(patch.object(second, 'modulated_deform_conv2d', _modulated_deform_conv2d))
        stack.enter_context(
            patch.object(F, 'adaptive_max_pool2d', lambda x, output_size: adaptive_max_pool(x, output_size))
        )
        stack.enter_context(patch.object(F, '_in_projection_packed', _in_projection_packed))
        stack.enter_context(patch.object(ShiftWindowMSA, 'forward', window_attention))
        stack.enter_context(patch.object(Tensor, 'argsort', _argsort))
        stack.enter_context(patch.object(Tensor, 'logsumexp', _logsumexp))
        stack.enter_context(patch.object(torch.special, 'entr', lambda x: -x * x.clamp(min=1e-38).log()))
        yield
