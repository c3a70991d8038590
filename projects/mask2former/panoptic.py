"""Mask2Former for panoptic segmentation, with semantic maps beside segments and instances."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.detectors import Mask2Former
from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import Tensor

from .head import PublishedTraining
from .semantic import BAND, sum_queries


@MODELS.register_module()
class Mask2FormerPanopticHead(PublishedTraining, Mask2FormerHead):
    """mmdet's Mask2Former head with the published initialization and losses in float32."""


@MODELS.register_module()
class Mask2FormerFusionHead(MaskFormerFusionHead):
    """mmdet's fusion head that makes semantic maps too (``test_cfg.semantic_on``), which mmdet refuses.

    All three results come from mask logits at the same size, as published.
    """

    def predict(
        self,
        mask_cls_results: Tensor,
        mask_pred_results: Tensor,
        batch_data_samples: list[DetDataSample],
        rescale: bool = False,
        **kwargs,
    ) -> list[dict]:
        """Results of each image under ``pan_results``, ``ins_results`` and ``sem_results``, those that
        ``test_cfg`` turns on with ``panoptic_on``, ``instance_on`` and ``semantic_on``.

        Args:
            mask_cls_results: Class logits (B, Q, C + 1).
            mask_pred_results: Mask logits (B, Q, H, W) at the padded size.
            rescale: Results at the original images' size.
        """
        postprocess = dict(
            pan_results=('panoptic_on', self.panoptic_postprocess),
            ins_results=('instance_on', self.instance_postprocess),
            sem_results=('semantic_on', self.semantic_postprocess),
        )
        results = []
        for logits, masks, sample in zip(
            mask_cls_results.float(), mask_pred_results.float(), batch_data_samples, strict=True
        ):
            height, width = sample.img_shape[:2]
            masks = masks[:, :height, :width]
            if rescale:
                masks = F.interpolate(masks[None], sample.ori_shape[:2], mode='bilinear')[0]
            results.append(
                {k: f(logits, masks) for k, (on, f) in postprocess.items() if self.test_cfg.get(on)}
            )
        return results

    def semantic_postprocess(self, mask_cls: Tensor, mask_pred: Tensor) -> PixelData:
        """The class of every pixel, ``sem_seg`` (1, H, W) int64.

        Args:
            mask_cls: Class logits (Q, C + 1).
            mask_pred: Mask logits (Q, H, W).
        """
        scores = mask_cls.softmax(-1)[:, :-1]
        _, height, width = mask_pred.shape
        labels = torch.empty(1, height, width, dtype=torch.int64, device=mask_pred.device)
        step = max(1, BAND // (len(mask_pred) * width))
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            labels[0, rows] = sum_queries(scores, mask_pred[:, rows].sigmoid()).max(0).indices
        return PixelData(sem_seg=labels)


@MODELS.register_module()
class Mask2FormerPanoptic(Mask2Former):
    """mmdet's Mask2Former whose samples carry ``pred_sem_seg`` too and, of heads that rank classes,
    ``ranking`` (C,) int64, best first."""

    kind = 'segmentation'  #: the inferencer that runs it (`mmroad.inference.build`)

    def add_pred_to_datasample(
        self, data_samples: list[DetDataSample], results_list: list[dict]
    ) -> list[DetDataSample]:
        rankings = getattr(self.panoptic_head, 'ranking', None)
        for i, (sample, result) in enumerate(zip(data_samples, results_list, strict=True)):
            if 'sem_results' in result:
                sample.pred_sem_seg = result.pop('sem_results')
            if rankings is not None:
                sample.set_data(dict(ranking=rankings[i]))
        return super().add_pred_to_datasample(data_samples, results_list)
