"""RoIAlign on a CPU as a gather: every bin is a weighted sum of pixels, read as rows of all channels.

mmcv walks through the map once a channel. Here the map is a table of pixels (N * H * W, C), as it lies in channels-last
memory, and ``embedding_bag`` sums its rows, all channels at once. A bin's samples lie closely, so neighbors share
pixels: the weights of its samples are summed a pixel and an axis before, and (g + 1)**2 rows are read in the place of
4 * g**2 for a grid of g samples a side. The gradient is the same sum with bins and pixels exchanged.

Sampling points and weights are mmcv's, operation by operation; results differ by the rounding of the sums.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

#: Pixels that are read, or values held, at a time; bounds the memory.
CHUNK = 2**22
#: What max pooling starts from; a bin without a higher sample has it. mmcv's.
LOWEST = -10000.0


class Options(NamedTuple):
    """mmcv's ``roi_align``'s, the size as (height, width)."""

    size: tuple[int, int]
    scale: float
    sampling_ratio: int
    pool_mode: str
    aligned: bool


class Samples(NamedTuple):
    """Sampling points of one axis, each (n, bins, grid): the pixels beside them and the second's share."""

    low: Tensor
    high: Tensor
    share: Tensor
    inside: Tensor  #: False where a point lies outside the map and counts as zero
    at: Tensor  #: the points themselves


class Group(NamedTuple):
    """Regions with the same number of sampling points a bin."""

    rows: Tensor  #: (n,) which of the regions
    image: Tensor  #: (n,)
    y: Samples
    x: Samples


def roi_align_forward(maps: Tensor, rois: Tensor, options: Options) -> tuple[Tensor, Tensor | None]:
    """Regions' features (n, C, h, w) of maps (N, C, H, W), and for max pooling which sample was taken.

    Args:
        rois: (n, 5) image, x1, y1, x2, y2 in pixels of the image.

    Raises:
        RuntimeError: A region that is not finite, of another image, or, aligned, of negative size.
    """
    (c, h, w), (rows, cols) = maps.shape[1:], options.size
    table = maps.permute(0, 2, 3, 1).contiguous().view(-1, c)
    most = options.pool_mode == 'max'
    out = maps.new_full((len(rois), c, rows, cols), LOWEST if most else 0)
    taken = torch.full((len(rois), rows, cols, c), -1, dtype=torch.int32) if most else None
    for group in _groups(maps.shape, rois, options):
        if most:
            values, taken[group.rows] = _maximum(table, group, (h, w))
        else:
            pixels, weights = _pixels(group, (h, w))
            values = embedding_bag(pixels, table, per_sample_weights=weights, mode='sum')
        out[group.rows] = values.view(-1, rows, cols, c).permute(0, 3, 1, 2)
    return out, taken


def roi_align_backward(
    grad: Tensor, shape: tuple[int, ...], rois: Tensor, taken: Tensor | None, options: Options
) -> Tensor:
    """The maps' gradient (N, C, H, W), in channels-last memory, of the features' (n, C, h, w)."""
    n, c, h, w = shape
    table = grad.new_zeros(n * h * w, c)
    grad = grad.permute(0, 2, 3, 1)
    parts, count = [], 0
    for group in _groups(shape, rois, options):
        if taken is not None:
            _add_maximum(table, grad[group.rows], taken[group.rows], group, (h, w))
            continue
        parts.append((group.rows, *_pixels(group, (h, w))))
        count += parts[-1][1].numel()
        if count >= CHUNK:
            table += _transposed(parts, grad, len(table))
            parts, count = [], 0
    if parts:
        table += _transposed(parts, grad, len(table))
    return table.view(n, h, w, c).permute(0, 3, 1, 2)


def _transposed(parts: list[tuple[Tensor, Tensor, Tensor]], grad: Tensor, pixels: int) -> Tensor:
    """Each pixel's weighted sum over the bins that read it."""
    bins = torch.cat([grad[rows].flatten(0, 2) for rows, _, _ in parts])
    taps = torch.cat([torch.full((len(index),), index.shape[1]) for _, index, _ in parts])
    pixel, order = torch.cat([index.flatten() for _, index, _ in parts]).sort()
    row = torch.arange(len(bins), dtype=pixel.dtype).repeat_interleave(taps)[order]
    weights = torch.cat([weights.flatten() for _, _, weights in parts])[order]
    begins = torch.searchsorted(pixel, torch.arange(pixels, dtype=pixel.dtype)).to(pixel.dtype)
    return embedding_bag(row, bins, begins, per_sample_weights=weights, mode='sum')


def _groups(shape: tuple[int, ...], rois: Tensor, options: Options) -> Iterator[Group]:
    """Regions by their sampling grid, as many at a time as `CHUNK` allows; empty grids are left out."""
    (n, c, h, w), (rows, cols) = shape, options.size
    if not len(rois):
        return
    image = rois[:, 0].long()
    # C++ has the scale in float32, whatever the maps are.
    boxes = rois[:, 1:] * torch.tensor(options.scale, dtype=torch.float32).item() - (
        0.5 if options.aligned else 0
    )
    sides = boxes[:, 2:] - boxes[:, :2]
    if not sides.isfinite().all() or image.min() < 0 or image.max() >= n:
        raise RuntimeError(f'RoIAlign: regions are not finite, or their images are not in 0..{n - 1}')
    if not options.aligned:
        sides = sides.clamp(min=1)
    elif (sides < 0).any():
        raise RuntimeError('RoIAlign: regions have negative sizes')
    grid = torch.full(sides.shape, float(options.sampling_ratio))
    if options.sampling_ratio <= 0:
        grid = (sides / sides.new_tensor([cols, rows])).float().ceil()
    grids, which = grid.long().unique(dim=0, return_inverse=True)
    for number, (across, down) in enumerate(grids.tolist()):
        if not across or not down:
            continue
        values = across * down * c if options.pool_mode == 'max' else min(across + 1, w) * min(down + 1, h)
        members = (which == number).nonzero()[:, 0]
        for part in members.split(max(1, CHUNK // (rows * cols * max(values, across + down)))):
            y = _samples(boxes[part, 1], sides[part, 1], rows, down, h)
            x = _samples(boxes[part, 0], sides[part, 0], cols, across, w)
            yield Group(part, image[part], y, x)


def _samples(start: Tensor, side: Tensor, bins: int, grid: int, length: int) -> Samples:
    step = (side / bins)[:, None]
    begin = start[:, None] + torch.arange(bins, dtype=start.dtype) * step
    at = begin[..., None] + ((torch.arange(grid, dtype=start.dtype) + 0.5) * step / grid)[:, None]
    inside = (at >= -1) & (at <= length)
    low = at.clamp(0, length - 1).int()
    share = (at.clamp(min=0) - low).masked_fill(low == length - 1, 0)
    return Samples(low, (low + 1).clamp(max=length - 1), share, inside, at)


def _taps(samples: Samples) -> tuple[Tensor, Tensor]:
    """Pixels of one axis and their weights in a bin's mean, each (n, bins, k)."""
    low, high, share, inside, _ = samples
    grid = low.shape[2]
    weights = inside / share.new_tensor(grid)
    pixels = torch.cat([low, high], 2)
    weights = torch.cat([(1 - share) * weights, share * weights], 2)
    first, last = low[..., :1], high[..., -1:]
    span = int((last - first).max()) + 1
    if span >= 2 * grid:
        return pixels, weights
    summed = weights.new_zeros(*low.shape[:2], span).scatter_add_(2, (pixels - first).long(), weights)
    return torch.minimum(first + torch.arange(span, dtype=first.dtype), last), summed


def _pixels(group: Group, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows of the table that the bins read, and their weights, each (n * bins, k)."""
    (y, by_row), (x, by_col) = _taps(group.y), _taps(group.x)
    index = _flat(group.image, y[:, :, None, :, None], x[:, None, :, None, :], size)
    weights = by_row[:, :, None, :, None] * by_col[:, None, :, None, :]
    taps = y.shape[2] * x.shape[2]
    return index.reshape(-1, taps), weights.reshape(-1, taps)


def _flat(image: Tensor, y: Tensor, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Rows of the table; of 32 bits where these suffice, which is faster."""
    height, width = size
    if int(image.max() + 1) * height * width < 2**31:
        image = image.int()
    return (image.view(-1, *[1] * (y.ndim - 1)) * height + y) * width + x


def _corners(group: Group) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The four pixels around every sample, in mmcv's order: y, x, weight, each to be (n, h, w, g, g)."""
    y, x = group.y, group.x
    inside = y.inside[:, :, None, :, None] & x.inside[:, None, :, None, :]
    for row, by_row in ((y.low, 1 - y.share), (y.high, y.share)):
        for col, by_col in ((x.low, 1 - x.share), (x.high, x.share)):
            weight = by_row[:, :, None, :, None] * by_col[:, None, :, None, :] * inside
            yield row[:, :, None, :, None], col[:, None, :, None, :], weight


def _maximum(table: Tensor, group: Group, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bins' highest samples (n, h, w, C) and which these are, -1 where none is above `LOWEST`."""
    values = 0
    for y, x, weight in _corners(group):
        values = values + table[_flat(group.image, y, x, size)] * weight[..., None]
    values, taken = values.flatten(3, 4).nan_to_num(LOWEST, torch.inf, -torch.inf).max(3)
    # mmcv's mark of a bin without a sample is y = -1, so one taken just there has no gradient either.
    at_y = group.y.at[:, :, None, :, None] + 0 * group.x.at[:, None, :, None]
    none = (values <= LOWEST) | _chosen(at_y == -1, taken)
    return values.clamp(min=LOWEST), taken.int().masked_fill(none, -1)


def _add_maximum(table: Tensor, grad: Tensor, taken: Tensor, group: Group, size: tuple[int, int]) -> None:
    grad, sample = grad.masked_fill(taken < 0, 0), taken.clamp(min=0).long()
    channel = torch.arange(grad.shape[3])
    for y, x, weight in _corners(group):
        index = _chosen(_flat(group.image, y, x, size).long(), sample) * len(channel) + channel
        table.view(-1).scatter_add_(0, index.flatten(), (grad * _chosen(weight, sample)).flatten())


def _chosen(values: Tensor, sample: Tensor) -> Tensor:
    """Of every sample's value (n, h, w, g, g) the chosen sample's (n, h, w, C)."""
    values = values.flatten(3)[..., None].expand(-1, -1, -1, -1, sample.shape[3])
    return values.gather(3, sample[:, :, :, None])[:, :, :, 0]


def gather_on_cpu(function: Any) -> None:
    """Make mmcv's ``RoIAlignFunction`` compute by this module on a CPU. On others and while a model is traced
    or exported it stays mmcv's."""
    forward, backward = function.forward, function.backward

    @functools.wraps(forward)
    def run(
        ctx: Any,
        input: Tensor,
        rois: Tensor,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = 'avg',
        aligned: bool = True,
    ) -> Tensor:
        size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        options = Options(size, spatial_scale, sampling_ratio, pool_mode, aligned)
        ctx.options = None
        if input.device.type != 'cpu' or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
            return forward(ctx, input, rois, *options)
        assert pool_mode in ('max', 'avg')
        assert rois.size(1) == 5, 'RoI must be (idx, x1, y1, x2, y2)!'
        maps = input if input.dtype == torch.float64 else input.float()
        rois = rois.to(maps.dtype)
        out, taken = roi_align_forward(maps, rois, options)
        ctx.options, ctx.input_shape = options, input.shape
        ctx.save_for_backward(rois, taken)
        return out

    @functools.wraps(backward)
    def run_backward(ctx: Any, grad_output: Tensor) -> tuple:
        if ctx.options is None:
            return backward(ctx, grad_output)
        rois, taken = ctx.saved_tensors
        with torch.no_grad():
            grad = roi_align_backward(grad_output, ctx.input_shape, rois, taken, ctx.options)
        return grad, None, None, None, None, None, None

    run.guarded = True
    function.forward, function.backward = staticmethod(run), staticmethod(run_backward)
