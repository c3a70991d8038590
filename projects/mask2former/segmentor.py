"""Mask2Former for semantic segmentation, in either published order of resizing and multiplying."""

from __future__ import annotations

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from .semantic import mask_bands, sum_queries


@MODELS.register_module()
class Mask2FormerSegmentor(EncoderDecoder):
    """The class of every pixel, a band of rows at a time.

    Args:
        resize_masks: Mask logits are resized to the original image before their probabilities are multiplied
            with the classes', as RankSeg's code does; otherwise the semantic map is resized, as Mask2Former's
            does for semantic segmentation and as mmseg does.
        test_cfg: ``keep_logits=True`` keeps the semantic map, ``seg_logits`` (C, h, w) float32.
    """

    def __init__(self, *args, resize_masks: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.test_cfg.get('mode', 'whole') != 'whole':
            raise ValueError(
                f'test_cfg.mode is {self.test_cfg.mode!r}; queries see the whole image: use "whole"'
            )
        self.resize_masks = resize_masks

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predict classes.

        Args:
            inputs: Padded images (B, 3, H, W).
            data_samples: With ``ori_shape`` and the padding in their metainfo; None takes the images as
                they are.

        Returns:
            Data samples with ``pred_sem_seg`` (1, h, w) int64 and, of heads that rank classes, ``ranking``
            (C,) int64, best first; h, w are the original image's.
        """
        padded = tuple(inputs.shape[-2:])
        if data_samples is None:
            data_samples = [SegDataSample(metainfo=dict(ori_shape=padded, img_shape=padded)) for _ in inputs]
        metas = [sample.metainfo for sample in data_samples]
        class_logits, mask_logits = self.decode_head.predict_queries(self.extract_feat(inputs), metas)
        scores = class_logits.softmax(-1)[..., :-1]
        rankings = getattr(self.decode_head, 'ranking', None)
        for i, (sample, meta) in enumerate(zip(data_samples, metas, strict=True)):
            for name, value in self._maps(scores[i], mask_logits[i], padded, meta).items():
                sample.set_data({name: PixelData(data=unflip(value, meta))})
            if rankings is not None:
                sample.set_data(dict(ranking=rankings[i]))
        return data_samples

    def _maps(self, scores: Tensor, masks: Tensor, padded: tuple[int, int], meta: dict) -> dict[str, Tensor]:
        final = tuple(meta['ori_shape'][:2])
        maps = dict(pred_sem_seg=scores.new_empty(1, *final, dtype=torch.int64))
        if self.test_cfg.get('keep_logits', False):
            maps['seg_logits'] = scores.new_empty(scores.shape[1], *final)
        size = unpadded_size(padded, meta)
        for rows, probs in mask_bands(masks, padded, size, final, self.resize_masks):
            seg = sum_queries(scores, probs)
            maps['pred_sem_seg'][0, rows] = seg.max(0).indices  # a third faster than argmax on a CPU
            if 'seg_logits' in maps:
                maps['seg_logits'][:, rows] = seg
        return maps


def unpadded_size(padded: tuple[int, int], meta: dict) -> tuple[int, int]:
    """Height and width of the image in the padded one.

    Raises:
        ValueError: There is padding on the left or above.
    """
    left, right, top, bottom = meta.get('img_padding_size') or meta.get('padding_size') or (0, 0, 0, 0)
    if left or top:
        raise ValueError(f'the image is padded by {left} on the left and {top} above; pad right and below')
    return padded[0] - bottom, padded[1] - right


def unflip(value: Tensor, meta: dict) -> Tensor:
    """Undo the flip that a sample's metainfo names on a map (..., H, W)."""
    if not meta.get('flip'):
        return value
    return value.flip(dict(horizontal=-1, vertical=-2)[meta['flip_direction']])
