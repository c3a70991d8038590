"""What a test pipeline and a data preprocessor do to an image, as part of the graph: pixel by pixel the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Bits of the weights with which OpenCV and Pillow resize 8-bit images.
CV2_BITS, PILLOW_BITS = 11, 22


class Prepared(NamedTuple):
    """The network's input and what leads back from it. Sizes are ints where the graph has one size, else scalars."""

    inputs: Tensor  #: (B, 3, h, w) float32, normalized and padded
    size: tuple[Any, Any]  #: height and width of the image in it
    original: tuple[Any, Any]  #: height and width of the image as given
    limits: Tensor  #: (4,) width, height, width, height of the image in it, to which boxes are clipped
    factor: Tensor  #: (4,) by which boxes are multiplied to be of the image as given


class Taps(NamedTuple):
    """How the pixels of one axis of a resized image come from the image: sums of ``weight`` times ``index``'s pixel."""

    index: Tensor  #: (m, k) int64
    weight: Tensor  #: (m, k) float32, whole numbers


class ImageInput(nn.Module):
    """uint8 RGB images (B, H, W, 3) to a model's input.

    Resizing is OpenCV's or Pillow's, by their own whole numbers; so what comes out is the pipeline's to the last digit.

    Args:
        steps: The test pipeline's steps that change the image, as configs; one ``Resize`` or mmseg's
            ``ResizeShortestEdge`` is known.
        preprocessor: The model's data preprocessor.
        size: Height and width of the images; None leaves them open.

    Raises:
        ValueError: A step or a preprocessor that this cannot do; names it.
    """

    def __init__(
        self, steps: list[Mapping[str, Any]], preprocessor: nn.Module, size: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.resize, self.size = _resize_of(steps), size
        self.divisor = _divisor(preprocessor)
        if not getattr(preprocessor, '_enable_normalize', True):
            raise ValueError('the data preprocessor does not normalize: give it mean and std')
        self.swap = not preprocessor._channel_conversion  # the model wants BGR
        self.register_buffer('mean', preprocessor.mean.detach().clone().view(1, 3, 1, 1))
        self.register_buffer('std', preprocessor.std.detach().clone().view(1, 3, 1, 1))
        self.target = self.taps = None
        if size is not None:
            self.target = tuple(map(int, self.resized(*map(torch.tensor, size))))
            if self.target != size:
                self.taps = tuple(
                    self._taps(*map(torch.tensor, pair)) for pair in zip(size, self.target, (0, 1))
                )

    def resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """The size to which the pipeline resizes an image, int64 scalars. mmcv's ``imrescale``, in float64."""
        if self.resize is None:
            return height, width
        scale, h, w = self.resize['scale'], double(height), double(width)
        longest, shortest = torch.maximum(h, w), torch.minimum(h, w)
        if isinstance(scale, float):
            factor = double(scale)
        elif self.resize['shortest']:
            # mmseg's ResizeShortestEdge rounds both sides, and gives what they are to imrescale
            sides = double(min(scale)) / shortest * torch.stack([longest, shortest])
            sides = (sides * (double(max(scale)) / sides[0]).clamp(max=1) + 0.5).floor()
            factor = torch.minimum(sides[0] / longest, sides[1] / shortest)
        else:
            factor = torch.minimum(double(max(scale)) / longest, double(min(scale)) / shortest)
        return (h * factor + 0.5).floor().long()[0], (w * factor + 0.5).floor().long()[0]

    def _taps(self, length: Tensor, target: Tensor, axis: int) -> Taps:
        if self.resize['backend'] == 'pillow':
            return pillow_taps(length, target)
        return cv2_taps(length, target, clamp=axis == 1)

    def forward(self, images: Tensor) -> Prepared:
        """See `Prepared`."""
        if self.size is None:
            original = images.shape[1], images.shape[2]
            given = tuple(map(torch.as_tensor, original))
            size, taps = original, None
            if self.resize is not None:
                size = self.resized(*given)
                taps = tuple(self._taps(*pair) for pair in zip(given, size, (0, 1)))
        else:
            original, size, taps = self.size, self.target, self.taps
        if taps is not None:
            images = (resize_pillow if self.resize['backend'] == 'pillow' else resize_cv2)(images, *taps)
        x = images.permute(0, 3, 1, 2).float()
        if self.swap:
            x = x.flip(1)
        x = (x - self.mean) / self.std
        if self.divisor > 1:
            right, below = -size[1] % self.divisor, -size[0] % self.divisor
            x = F.pad(x, (0, right, 0, below))
        limits = torch.stack([torch.as_tensor(size[i]) for i in (1, 0, 1, 0)]).float()
        whole = torch.stack([torch.as_tensor(original[i]) for i in (1, 0, 1, 0)]).double()
        return Prepared(x, size, original, limits, (1 / (limits.double() / whole)).float())


def double(number: Any) -> Tensor:
    """A number as float64 (1,): of scalars without an axis the exporter makes float32."""
    return torch.as_tensor(number).double().reshape(1)


def _resize_of(steps: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The one resizing among the steps: ``scale`` (a float, or longest and shortest side), ``backend``, and whether the
    shortest side decides as in mmseg's ``ResizeShortestEdge``."""
    found = None
    for step in steps:
        kind = step['type'].rpartition('.')[2]
        if kind == 'ResizeShortestEdge' and found is None:
            found = dict(scale=(step['scale'], step['max_size']), backend='cv2', shortest=True)
            continue
        if kind != 'Resize' or found is not None:
            raise ValueError(
                f'the test pipeline has {kind}, which an export does not know; one Resize is what it may have'
            )
        if step.get('interpolation', 'bilinear') != 'bilinear' or not (
            step.get('keep_ratio') or step.get('scale_factor')
        ):
            raise ValueError(
                f'{dict(step)}: exported are bilinear resizing with keep_ratio=True, or by a scale_factor'
            )
        scale = step.get('scale')
        factor = float(step['scale_factor']) if scale is None else None
        found = dict(scale=factor or tuple(scale), backend=step.get('backend', 'cv2'), shortest=False)
        if found['scale'] == 1.0:
            found = None
    return found


def _divisor(preprocessor: nn.Module) -> int:
    """The number of which height and width are multiples after padding, in testing."""
    if not hasattr(preprocessor, 'test_cfg'):
        return preprocessor.pad_size_divisor
    cfg = (
        preprocessor.test_cfg or {}
    )  # mmseg's; in some of its versions it has the other too, and does not read it
    if cfg.get('size') is not None:
        raise ValueError(f'the data preprocessor pads to {cfg["size"]}: an export knows size_divisor alone')
    return cfg.get('size_divisor') or 1


def cv2_taps(length: Tensor, target: Tensor, clamp: bool) -> Taps:
    """OpenCV's bilinear weights of 2 ** 11 (imgproc/src/resize.cpp): two pixels beside the point (i + 0.5) * length /
    target - 0.5.

    Args:
        clamp: Points beyond the outer pixels are moved to these, as OpenCV does across; down, it repeats the
            outer row.
    """
    scale = double(1) / (double(target) / double(length))
    point = ((torch.arange(target).double() + 0.5) * scale - 0.5).float()
    low = point.floor()
    share = point - low
    if clamp:
        share = share * ((low >= 0) & (low < length - 1))
    index = torch.stack([low, low + 1], 1).long()
    weight = torch.stack([1 - share, share], 1) * 2**CV2_BITS
    return Taps(torch.minimum(index.clamp(min=0), length - 1), weight.round().float())


def pillow_taps(length: Tensor, target: Tensor) -> Taps:
    """Pillow's bilinear weights of 2 ** 22 (src/libImaging/Resample.c): a triangle over the pixels that become one."""
    scale = double(length) / double(target)
    wide = scale.clamp(min=1)
    center = (torch.arange(target).double() + 0.5) * scale
    first = (center - wide + 0.5).clamp(min=0).floor().long()
    last = torch.minimum((center + wide + 0.5).floor().long(), length)
    taps = torch.arange((wide.ceil() * 2 + 1).long()[0])
    index = first[:, None] + taps
    distance = (index - center[:, None] + 0.5).abs()
    weight = (1 - distance / wide).clamp(min=0) * (index < last[:, None])
    weight = weight / weight.sum(1, keepdim=True) * 2**PILLOW_BITS
    return Taps(torch.minimum(index, length - 1), (weight + 0.5).floor().float())


def resize_cv2(images: Tensor, rows: Taps, cols: Taps) -> Tensor:
    """Images (B, H, W, C) uint8 resized as OpenCV's INTER_LINEAR does: (B, h, w, C) float32, whole numbers in 0..255.

    It sums across in full, takes 4 bits off, multiplies with the rows' weights, takes 16 off each and rounds. Upper and
    lower bits are multiplied apart, so that no number needs more than the 24 bits of float32: OpenVINO computes with
    whole numbers as with these.
    """
    x = images.float()
    across = [x.index_select(2, cols.index[:, i]) * cols.weight[:, i, None] for i in (0, 1)]
    x = ((across[0] + across[1]) / 16).floor()
    upper = (x / 256).floor()
    lower, down = x - upper * 256, []
    for i in (0, 1):
        high, low = (part.index_select(1, rows.index[:, i]) for part in (upper, lower))
        weight = rows.weight[:, i, None, None]
        down.append(((high * weight + (low * weight / 256).floor()) / 256).floor())
    return ((down[0] + down[1] + 2) / 4).floor()


def resize_pillow(images: Tensor, rows: Taps, cols: Taps) -> Tensor:
    """Images (B, H, W, C) uint8 resized as Pillow's BILINEAR does, across and then down, rounded to 8 bits after
    each: (B, h, w, C) float32.

    The weights' upper and lower halves are summed apart, so that up to 27 pixels that become one need no more than the
    24 bits of float32, see `resize_cv2`.
    """
    x, half = images.float(), 2 ** (PILLOW_BITS // 2)
    for axis, taps in ((2, cols), (1, rows)):
        picked = x[(slice(None),) * axis + (taps.index,)]
        weight = taps.weight[(...,) + (None,) * (3 - axis)]
        upper = (weight / half).floor()
        lower = (picked * (weight - upper * half)).sum(axis + 1) + 2 ** (PILLOW_BITS - 1)
        total = (picked * upper).sum(axis + 1) + (lower / half).floor()
        x = (total / half).floor().clamp(0, 255)
    return x
