"""Segmentation models as graphs: Mask2Former, RbA, RankSeg and AbeT's DeepLabV3+."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..abet.segmentor import AbeTSegmentor
from ..abet.temperature import EPS, MIN_TEMPERATURE, cosine_weight, gram_maps
from ..rba.segmentor import MaskAnomalySegmentor
from .image import Prepared, double

#: Into how many bands of rows an image is cut where masks are resized to it, by the mask values of one.
BAND, OPEN_BANDS = 2**24, 16


class Maps(NamedTuple):
    """What is known of every pixel of the images as given."""

    classes: Tensor  #: (B, H, W) uint8
    extras: dict[str, Tensor] = {}  #: ``anomaly`` (B, H, W) float32; ``ranking`` (B, C) int64, best first


class Axis(NamedTuple):
    """Bilinear resizing along one axis, as ``F.interpolate``: pixel i is (1 - share) * [low] + share * [high]."""

    low: Tensor
    high: Tensor
    share: Tensor

    def part(self, start: Any, stop: Any) -> Axis:
        """Pixels ``start`` to ``stop``."""
        return Axis(*(x[start:stop] for x in self))

    def at(self, index: Tensor) -> Axis:
        """Some pixels."""
        return Axis(*(x[index] for x in self))


def axis(length: Any, target: Any, align_corners: bool = False) -> Axis:
    """The axis of a map that is resized from ``length`` to ``target``, ints or scalars."""
    length = torch.as_tensor(length)
    out = torch.arange(target).float()
    if align_corners:
        scale = ((double(length) - 1) / (double(target) - 1).clamp(min=1)).float()
        at = out * scale
    else:
        scale = (double(length) / double(target)).float()
        at = ((out + 0.5) * scale - 0.5).clamp(min=0)
    low = torch.minimum(at.floor().long(), (length - 2).clamp(min=0))
    share = torch.minimum((at - low).clamp(min=0), torch.ones_like(at))
    return Axis(low, torch.minimum(low + 1, length - 1), share)


def resize_rows(x: Tensor, rows: Axis) -> Tensor:
    """(..., h, w) along its rows."""
    share = rows.share[:, None]
    return x.index_select(-2, rows.low) * (1 - share) + x.index_select(-2, rows.high) * share


def resize_cols(x: Tensor, cols: Axis) -> Tensor:
    """(..., h, w) along its columns."""
    return x.index_select(-1, cols.low) * (1 - cols.share) + x.index_select(-1, cols.high) * cols.share


def mask_bands(masks: Tensor, image: Prepared, resize_masks: bool) -> Iterator[Tensor]:
    """Mask probabilities at the size of the image as given, a band of rows after the other.

    Args:
        masks: Mask logits (Q, h, w) over the padded image.
        resize_masks: Bring logits to that size, in the place of probabilities.

    Yields:
        (Q, rows, W).
    """
    height, width = image.original
    padded = image.inputs.shape[2:]
    down, across = axis(masks.shape[1], padded[0]), axis(masks.shape[2], padded[1]).part(0, image.size[1])
    fixed = isinstance(height, int)
    number = -(-int(masks.shape[0]) * height * width // BAND) if fixed else OPEN_BANDS
    resized = not fixed or tuple(image.size) != tuple(image.original)
    further = (axis(image.size[0], height), axis(image.size[1], width)) if resized else None
    for i in range(number):
        start, stop = i * height // number, (i + 1) * height // number
        if further is None:
            yield resize_cols(resize_rows(masks, down.part(start, stop)), across).sigmoid()
            continue
        rows = further[0].part(start, stop)
        near = [resize_cols(resize_rows(masks, down.at(index)), across) for index in (rows.low, rows.high)]
        if not resize_masks:
            near = [part.sigmoid() for part in near]
        share = rows.share[:, None]
        band = resize_cols(near[0] * (1 - share) + near[1] * share, further[1])
        yield band.sigmoid() if resize_masks else band


def as_given(x: Tensor, image: Prepared, align_corners: bool = False) -> Tensor:
    """Maps (..., h, w) at the size of the image in the input, at that of the image as given."""
    if image.size is image.original or (
        isinstance(image.original[0], int) and tuple(image.size) == tuple(image.original)
    ):
        return x
    rows, cols = (axis(image.size[i], image.original[i], align_corners) for i in (0, 1))
    return resize_cols(resize_rows(x, rows), cols)


class MaskClassifier(nn.Module):
    """Mask2Former for semantic segmentation, with a ranking (RankSeg) or an anomaly score (RbA) where it has one.
    One image at a time."""

    one_image = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if getattr(getattr(model.decode_head, 'rank_seg', None), 'oracle', False):
            raise ValueError('a model in oracle mode (+GT) needs the ground truth: take one without')
        _whole(model)
        self.model, self.anomalous = model, isinstance(model, MaskAnomalySegmentor)

    def forward(self, image: Prepared) -> Maps:
        model, head = self.model, self.model.decode_head
        size = tuple(image.inputs.shape[2:])
        meta = dict(batch_input_shape=size, img_shape=size, pad_shape=size, ori_shape=size)
        class_logits, mask_logits = head.predict_queries(model.extract_feat(image.inputs), [meta])
        probs = class_logits[0].softmax(-1)
        inliers = probs[:, : head.out_channels] if self.anomalous else probs[:, :-1]
        outlier = getattr(head, 'ood_logits', None) if self.anomalous else None
        if outlier is not None:
            outlier = self.outlier_map(outlier, image)
        classes, anomaly, start = [], [], 0
        for masks in mask_bands(mask_logits[0], image, getattr(model, 'resize_masks', False)):
            seg = (inliers.t() @ masks.flatten(1)).reshape(-1, masks.shape[1], masks.shape[2])
            classes.append(seg.argmax(0).to(torch.uint8))
            if self.anomalous:
                own = None if outlier is None else outlier[:, start : start + masks.shape[1]]
                anomaly.append(model.anomaly_score(seg, probs, masks, own))
                start = start + masks.shape[1]
        extras = dict(anomaly=torch.cat(anomaly)[None]) if self.anomalous else {}
        if getattr(head, 'ranking', None) is not None:
            extras['ranking'] = head.ranking
        return Maps(torch.cat(classes)[None], extras)

    def outlier_map(self, logits: Tensor, image: Prepared) -> Tensor:
        """DenseHybrid's two maps at the size of the image as given."""
        rows, cols = (axis(logits.shape[i + 2], image.size[i], align_corners=True) for i in (0, 1))
        return as_given(resize_cols(resize_rows(logits[0].float(), rows), cols), image)


class Temperature(nn.Module):
    """AbeT's segmentor, or its baseline: classes and the first of its scores, from logits at the size of the image."""

    def __init__(self, model: AbeTSegmentor) -> None:
        super().__init__()
        _whole(model)
        self.model = model

    def forward(self, image: Prepared) -> Maps:
        head = self.model.decode_head
        features = head(self.model.extract_feat(image.inputs))
        temperature = getattr(head, 'temperature', None)
        size = tuple(image.inputs.shape[2:])
        rows, cols = (axis(features.shape[i + 2], size[i], self.model.align_corners) for i in (0, 1))
        if temperature is None:
            logits, heat = resize_cols(resize_rows(features.float(), rows), cols), None
        else:
            weight = torch.cat(
                [cosine_weight(temperature.cosine.weight.flatten(1)), temperature.conv.weight.flatten(1)]
            )
            linear = resize_cols(resize_rows(F.conv2d(features, weight[:, :, None, None]), rows), cols)
            heat = temperature.bn(linear[:, -1:]).sigmoid() + MIN_TEMPERATURE
            norm = squared_norm(gram_maps(features), rows, cols).clamp(min=1e-20).sqrt()
            logits = linear[:, :-1] / (norm + EPS) / heat
        logits, heat = (
            None if x is None else x[:, :, : image.size[0], : image.size[1]] for x in (logits, heat)
        )
        extras, corners = {}, self.model.align_corners
        if self.model.scores:
            score = next(iter(self.model.scores.values()))(logits, heat)
            extras['anomaly'] = as_given(score, image, corners)
        return Maps(as_given(logits, image, corners).argmax(1).to(torch.uint8), extras)


def _whole(model: nn.Module) -> None:
    if (model.test_cfg or {}).get('mode', 'whole') != 'whole':
        raise ValueError('sliding windows (test_cfg.mode="slide") are not exported: use "whole"')


def squared_norm(gram: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """``mmroad.abet.temperature.BilinearRows.squared_norm`` of the whole image: (B, 1, H, W)."""
    fy, fx = rows.share[:, None], cols.share
    up, down, cross = (1 - fy) ** 2, fy**2, 2 * fy * (1 - fy)
    top, bottom = (gram.index_select(2, index) for index in (rows.low, rows.high))
    own = up * top[:, 0] + down * bottom[:, 0] + cross * top[:, 2]
    beside = up * top[:, 1] + down * bottom[:, 1] + cross / 2 * top[:, 3]
    left = own.index_select(2, cols.low)
    right = own.index_select(2, cols.high)
    squared = (1 - fx) ** 2 * left + fx**2 * right + 2 * fx * (1 - fx) * beside.index_select(2, cols.low)
    return squared[:, None]


def segmentor(model: nn.Module) -> nn.Module | None:
    """The graph of a segmentation model; None for others."""
    if isinstance(model, AbeTSegmentor):
        return Temperature(model)
    return MaskClassifier(model) if hasattr(getattr(model, 'decode_head', None), 'predict_queries') else None
