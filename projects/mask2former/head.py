"""Mask2Former's decode head for semantic segmentation."""

from __future__ import annotations

import torch
from mmengine.structures import InstanceData
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from .pixel_decoder import xavier_uniform
from .semantic import semantic_map


class PublishedTraining:
    """Mixin: the published initialisation, and losses in float32."""

    def init_weights(self) -> None:
        super().init_weights()
        xavier_uniform(self.transformer_decoder)

    def loss_by_feat(
        self,
        all_cls_scores: list[Tensor],
        all_mask_preds: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
    ) -> dict[str, Tensor]:
        """The losses of all layers, matched and computed in float32 under autocast too."""
        logits, masks = ([x.float() for x in layers] for layers in (all_cls_scores, all_mask_preds))
        with torch.autocast(logits[0].device.type, enabled=False):
            return super().loss_by_feat(logits, masks, batch_gt_instances, batch_img_metas)


@MODELS.register_module()
class Mask2FormerSemSegHead(PublishedTraining, Mask2FormerHead):
    """mmseg's Mask2Former head with labels outside the classes kept out of the mask targets (255 ignored,
    254 outliers), a semantic map in bounded memory and the published initialisation.
    """

    def _seg_data_to_instance_data(
        self, batch_data_samples: list[SegDataSample]
    ) -> tuple[list[InstanceData], list[dict]]:
        instances = []
        for sample in batch_data_samples:
            labels = sample.gt_sem_seg.data[0].long()
            classes = labels.unique()
            classes = classes[classes < self.num_classes]
            masks = (labels == classes[:, None, None]).long()
            instances.append(InstanceData(labels=classes, masks=masks))
        return instances, [sample.metainfo for sample in batch_data_samples]

    def predict_queries(self, x: list[Tensor], batch_img_metas: list[dict]) -> tuple[Tensor, Tensor]:
        """Class logits (B, Q, C + 1) and mask logits (B, Q, H/4, W/4) of the last layer, float32."""
        samples = [SegDataSample(metainfo=meta) for meta in batch_img_metas]
        class_logits, mask_logits = self(x, samples)
        return class_logits[-1].float(), mask_logits[-1].float()

    def predict(self, x: list[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """The semantic map of every image at the padded size, (B, C, H, W)."""
        class_logits, mask_logits = self.predict_queries(x, batch_img_metas)
        padded = tuple(batch_img_metas[0].get('pad_shape') or batch_img_metas[0]['img_shape'])[:2]
        scores = class_logits.softmax(-1)[..., : self.num_classes]
        return torch.stack([semantic_map(s, m, padded) for s, m in zip(scores, mask_logits, strict=True)])
