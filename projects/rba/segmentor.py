"""A mask classifier that also says how anomalous every pixel is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..mask2former import mask_bands, sum_queries
from ..mask2former.segmentor import unflip, unpadded_size
from .scores import SCALES, Score, get_score


@MODELS.register_module()
class MaskAnomalySegmentor(EncoderDecoder):
    """Mask2Former with an anomaly score.

    Args:
        anomaly_score: The name of a score of ``mmroad.rba.scores``; may be changed at any time by
            `set_score`, without retraining.
        trainable: Only parameters of the decode head whose names start with one of these are trained, the
            rest keep ``requires_grad=False`` but stay in training mode, as published (drop path stays
            active). ``['cls_embed', 'mask_embed']`` is RbA's fine-tuning. None trains everything.
        resize_masks: Mask logits are resized to the original image before their probabilities are taken, as UNO's
            code does; otherwise the probabilities are resized.
        test_cfg: ``keep_logits=True`` keeps the semantic map, (K, H, W) float32, in the data samples.
    """

    kind = 'anomaly'  #: the inferencer that runs it (`mmroad.inference.build`)

    def __init__(
        self,
        *args,
        anomaly_score: str = 'rba',
        trainable: list[str] | None = None,
        resize_masks: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.resize_masks = resize_masks
        if self.test_cfg.get('mode', 'whole') != 'whole':
            raise ValueError(
                f'test_cfg.mode is {self.test_cfg.mode!r}; queries see the whole image: use "whole"'
            )
        self.set_score(anomaly_score)
        if trainable is not None:
            self._freeze_all_but(trainable)

    def set_score(self, anomaly_score: str) -> None:
        """Use another anomaly score, and no other."""
        self.set_scores([anomaly_score])

    def set_scores(self, names: Sequence[str]) -> None:
        """Compute several scores in one pass: the first is the ``anomaly_map``, which holds each of several under its
        name."""
        first, *others = (get_score(name) for name in names)
        self.anomaly_score, self.other_scores = first, others

    def _freeze_all_but(self, trainable: list[str]) -> None:
        for name, parameter in self.named_parameters():
            inner = name.removeprefix('decode_head.')
            parameter.requires_grad_(inner != name and inner.startswith(tuple(trainable)))
        unused = [
            t for t in trainable if not any(n.startswith(t) for n, _ in self.decode_head.named_parameters())
        ]
        if unused:
            raise ValueError(f'trainable: no parameter of the decode head starts with {", ".join(unused)}')

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predict classes and anomaly maps.

        Args:
            inputs: Padded images (B, 3, H, W).
            data_samples: With ``ori_shape`` and the padding in their metainfo; None takes the images as
                they are.

        Returns:
            Data samples with ``pred_sem_seg`` (1, h, w) int64, ``anomaly_map`` (1, h, w) float32 (higher is
            more anomalous) and, with ``test_cfg.keep_logits``, ``seg_logits`` (K, h, w); h, w are the
            original image's. ``anomaly_scale`` of the metainfo is what pictures scale the colors by.
        """
        padded = tuple(inputs.shape[-2:])
        if data_samples is None:
            data_samples = [SegDataSample(metainfo=dict(ori_shape=padded, img_shape=padded)) for _ in inputs]
        metas = [sample.metainfo for sample in data_samples]
        class_logits, mask_logits = self.decode_head.predict_queries(self.extract_feat(inputs), metas)
        ood_logits = getattr(self.decode_head, 'ood_logits', None)
        for i, sample in enumerate(data_samples):
            ood = None if ood_logits is None else ood_logits[i : i + 1].float()
            maps = anomaly_maps(
                class_logits[i],
                mask_logits[i],
                self.anomaly_score,
                self.decode_head.out_channels,
                padded,
                unpadded_size(padded, metas[i]),
                tuple(metas[i]['ori_shape'][:2]),
                ood,
                self.test_cfg.get('keep_logits', False),
                self.other_scores,
                self.resize_masks,
            )
            others = {score.__name__: maps.pop(score.__name__) for score in self.other_scores}
            if others:
                others[self.anomaly_score.__name__] = maps['anomaly_map']
            for name, value in maps.items():
                sample.set_data({name: PixelData(data=unflip(value, metas[i]))})
            for name, value in others.items():
                sample.anomaly_map.set_data({name: unflip(value, metas[i])})
            sample.set_metainfo(dict(anomaly_scale=SCALES[self.anomaly_score.__name__]))
        return data_samples


def anomaly_maps(
    class_logits: Tensor,
    mask_logits: Tensor,
    score: Score,
    num_classes: int,
    padded: tuple[int, int],
    size: tuple[int, int] | None = None,
    final: tuple[int, int] | None = None,
    ood_logits: Tensor | None = None,
    keep_logits: bool = False,
    others: Sequence[Score] = (),
    resize_masks: bool = False,
) -> dict[str, Tensor]:
    """Class and anomaly map of one image from its queries, a band of rows at a time.

    Args:
        class_logits: (Q, C), the first ``num_classes`` of C being the inlier classes.
        mask_logits: (Q, h, w), over the padded image.
        score: One of ``mmroad.rba.scores``.
        padded, size, final: Height and width of the padded image, of the image in it and of the result.
        ood_logits: (1, 2, h, w) of DenseHybrid's head, or None.
        keep_logits: Return the semantic map too.
        others: Further scores, functions with a name of their own each.
        resize_masks: See `mask_bands`.

    Returns:
        ``pred_sem_seg`` (1, H, W) int64, ``anomaly_map`` (1, H, W) float32, perhaps ``seg_logits`` (K, H, W), and
        further scores (1, H, W) float32 by the names of their functions.
    """
    size = size or padded
    final = final or size
    if ood_logits is not None:
        ood_logits = F.interpolate(ood_logits, size, mode='bilinear', align_corners=True)
        if final != size:
            ood_logits = F.interpolate(ood_logits, final, mode='bilinear', align_corners=False)
    probs = class_logits.softmax(-1)
    inliers = probs[:, :num_classes]
    pred = probs.new_empty(1, *final, dtype=torch.int64)
    anomaly = probs.new_empty(1, *final)
    maps = dict(pred_sem_seg=pred, anomaly_map=anomaly)
    if keep_logits:
        maps['seg_logits'] = probs.new_empty(num_classes, *final)
    maps |= {other.__name__: probs.new_empty(1, *final) for other in others}
    for rows, mask_probs in mask_bands(mask_logits, padded, size, final, resize_masks):
        seg = sum_queries(inliers, mask_probs)
        pred[0, rows] = seg.max(0).indices  # a third faster than argmax on a CPU
        ood = None if ood_logits is None else ood_logits[0, :, rows]
        anomaly[0, rows] = score(seg, probs, mask_probs, ood)
        if keep_logits:
            maps['seg_logits'][:, rows] = seg
        for other in others:
            maps[other.__name__][0, rows] = other(seg, probs, mask_probs, ood)
    return maps
