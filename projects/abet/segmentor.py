"""A segmentor whose anomaly scores are computed at the size of the image, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from .scores import NO_TEMPERATURE, SCALES, build_scores
from .temperature import BilinearRows
from .temperature_head import build_head


class Dense(NamedTuple):
    """Predictions at the size of the network's input.

    Attributes:
        classes: (N, 1, H, W) int64.
        scores: Anomaly scores, (N, S, H, W) float32, higher = more anomalous.
        logits: (N, C, H, W) float32, or ``None`` where they were not asked for.
    """

    classes: Tensor
    scores: Tensor
    logits: Tensor | None


@MODELS.register_module()
class AbeTSegmentor(EncoderDecoder):
    """mmseg's ``EncoderDecoder`` with the learned temperature in any head and anomaly scores.

    The decode head takes ``temperature=dict(type='LearnedTemperature')``, whatever
    its type; without it, it is the plain head (the baseline). In prediction every
    score is computed from full-resolution logits, ``rows`` image rows at a time:
    AbeT's scores do not commute with upsampling. Overlapping windows of the sliding
    mode average the scores (not the scores of averaged logits), the logits as mmseg does.

    Args:
        decode_head: A decode head of mmseg, with or without ``temperature``.
        test_cfg: mmseg's, with further

            - ``scores``: anomaly scores by name or config (``mmroad.abet.scores``); the first
              one is the ``anomaly_map`` of the predictions. Default: none.
            - ``rows``: image rows per step (default 128).
            - ``keep_logits``: keep ``seg_logits`` in the predictions (default False:
              160 MB for an image of Cityscapes).
        kwargs: See mmseg's ``EncoderDecoder``.
    """

    kind = 'anomaly'  #: the inferencer that runs it (`mmroad.inference.build`)

    def __init__(self, backbone: dict, decode_head: dict, **kwargs) -> None:
        super().__init__(backbone, decode_head, **kwargs)
        config = self.test_cfg or {}
        self.scores = build_scores(config.get('scores') or ())
        self.rows = config.get('rows', 128)

    def set_score(self, anomaly_score: str | dict) -> None:
        """Compute this score from now on, and no other."""
        self.set_scores([anomaly_score])

    def set_scores(self, scores: Sequence[str | dict]) -> None:
        """Compute these scores, each in one pass; the first is the ``anomaly_map``, which holds each by its name.

        Raises:
            KeyError: There is no such score, or the head has no temperature for it.
        """
        found = build_scores(scores)
        if 'godin' in found and getattr(self.decode_head, 'temperature', None) is None:
            raise KeyError(NO_TEMPERATURE)
        self.scores = found

    def _init_decode_head(self, decode_head: dict) -> None:
        self.decode_head = build_head(decode_head)
        if self.decode_head.out_channels != self.decode_head.num_classes:
            raise ValueError(
                f'scores need one logit per class: out_channels is {self.decode_head.out_channels}, '
                f'num_classes {self.decode_head.num_classes}'
            )
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels

    def full_resolution(
        self, inputs: Tensor, rows: int | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """The head at the size of the images, some rows at a time.

        Args:
            inputs: Normalized images (N, 3, H, W).
            rows: Rows per step; ``None`` takes the model's.

        Yields:
            ``(rows, logits, T)``: a slice of the H rows, the float32 logits
            (N, C, rows, W), and the temperature (N, 1, rows, W), ``None`` without one.
        """
        size, rows = tuple(inputs.shape[2:]), rows or self.rows
        features = self.decode_head(self.extract_feat(inputs))
        temperature = getattr(self.decode_head, 'temperature', None)
        maps = temperature.maps(features) if temperature is not None else features.float()
        del features
        for start in range(0, size[0], rows):
            stop = min(start + rows, size[0])
            if temperature is not None:
                g, t = temperature.rows(maps, size, start, stop, self.align_corners)
                yield slice(start, stop), g / t, t
            else:
                bilinear = BilinearRows(maps.shape[2:], size, start, stop, self.align_corners, maps.device)
                yield slice(start, stop), bilinear.linear(maps), None

    def dense(self, inputs: Tensor, keep_logits: bool = False) -> Dense:
        """Classes and scores of images (N, 3, H, W) in one pass each."""
        n, _, h, w = inputs.shape
        classes = torch.empty(n, 1, h, w, dtype=torch.long, device=inputs.device)
        scores = torch.empty(n, len(self.scores), h, w, device=inputs.device)
        logits = torch.empty(n, self.num_classes, h, w, device=inputs.device) if keep_logits else None
        for rows, part, temperature in self.full_resolution(inputs):
            classes[:, 0, rows] = part.argmax(1)
            for i, score in enumerate(self.scores.values()):
                scores[:, i, rows] = score(part, temperature)
            if keep_logits:
                logits[:, :, rows] = part
        return Dense(classes, scores, logits)

    def dense_windows(self, inputs: Tensor) -> Dense:
        """Classes and scores of images, computed in mmseg's sliding windows (``test_cfg.crop_size`` and
        ``stride``)."""
        n, _, h, w = inputs.shape
        logits = inputs.new_zeros(n, self.num_classes, h, w)
        scores = inputs.new_zeros(n, len(self.scores), h, w)
        count = inputs.new_zeros(1, 1, h, w)
        for top, bottom in windows(h, self.test_cfg.crop_size[0], self.test_cfg.stride[0]):
            for left, right in windows(w, self.test_cfg.crop_size[1], self.test_cfg.stride[1]):
                part = self.dense(inputs[:, :, top:bottom, left:right], keep_logits=True)
                logits[:, :, top:bottom, left:right] += part.logits
                scores[:, :, top:bottom, left:right] += part.scores
                count[:, :, top:bottom, left:right] += 1
        logits /= count
        return Dense(logits.argmax(1, keepdim=True), scores.div_(count), logits)

    def predict(
        self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predict classes and anomaly scores.

        Returns:
            Samples with ``pred_sem_seg`` (1, H, W) int64; ``anomaly_map``, whose
            ``data`` is the first score (1, H, W) float32 and which holds every score
            under its own name; ``seg_logits`` (C, H, W) if ``test_cfg.keep_logits``.
            All at the original size of the image. ``anomaly_scale`` of the metainfo is what
            pictures scale the first score's colors by.
        """
        samples = data_samples or [SegDataSample() for _ in range(len(inputs))]
        keep = self.test_cfg.get('keep_logits', False)
        resized = any(_resized(sample, inputs) for sample in samples)
        if self.test_cfg.get('mode', 'whole') == 'slide':
            dense = self.dense_windows(inputs)
        else:
            dense = self.dense(inputs, keep_logits=keep or resized)
        for i, sample in enumerate(samples):
            parts = [None if x is None else x[i : i + 1] for x in dense]
            classes, scores, logits = (self._original(x, sample.metainfo) for x in parts)
            if _resized(sample, inputs):
                classes = logits.argmax(0, keepdim=True)
            sample.pred_sem_seg = PixelData(data=classes)
            if keep:
                sample.seg_logits = PixelData(data=logits)
            if self.scores:
                named = {name: scores[j : j + 1] for j, name in enumerate(self.scores)}
                sample.anomaly_map = PixelData(data=scores[:1], **named)
                sample.set_metainfo(dict(anomaly_scale=SCALES[next(iter(self.scores))]))
        return samples

    def _original(self, x: Tensor | None, meta: dict) -> Tensor | None:
        """Undo padding, flip and resizing of one map (1, C, h, w): (C, H, W)."""
        if x is None:
            return None
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
        x = x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
        if meta.get('flip'):
            x = x.flip(3 if meta['flip_direction'] == 'horizontal' else 2)
        size = tuple(meta.get('ori_shape', x.shape[2:]))[:2]
        if x.shape[2:] != size and x.is_floating_point():
            x = F.interpolate(x, size, mode='bilinear', align_corners=self.align_corners)
        return x[0]


def windows(size: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Starts and ends of mmseg's windows along one axis."""
    steps = max(size - crop + stride - 1, 0) // stride + 1
    ends = [min(i * stride + crop, size) for i in range(steps)]
    return [(max(end - crop, 0), end) for end in ends]


def _resized(sample: SegDataSample, inputs: Tensor) -> bool:
    """Whether the input without its padding differs from the original image in size."""
    meta = sample.metainfo
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    h, w = inputs.shape[2] - top - bottom, inputs.shape[3] - left - right
    return tuple(meta.get('ori_shape', (h, w)))[:2] != (h, w)
