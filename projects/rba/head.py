"""Mask2Former's head with outlier losses at every prediction layer."""

from __future__ import annotations

import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType
from torch import Tensor, nn

from ..mask2former.head import IGNORED, OUTLIER, Mask2FormerSemSegHead, sample_labels


@MODELS.register_module()
class RbAHead(Mask2FormerSemSegHead):
    """Mask2Former's head whose maps are also trained to reject outliers, by losses at every prediction layer.

    Args:
        num_classes: The inlier classes K.
        pixel_losses: Name to config of a `PixelLoss`, such as ``dict(outlier=dict(type='OutlierLoss'))``.
        mask_losses: Whether the classification, mask and dice losses are kept (PEBAL replaces them).
        ood_head: Add DenseHybrid's outlier head: BN, ReLU and a 1x1 convolution to two maps on the mask
            features.
        outlier_class: Class K is "outlier", trained on the pixels labeled 254 as on any class; "no object"
            comes after it (UNO, https://arxiv.org/abs/2402.15374). The semantic map keeps K classes. Where training
            starts from weights without this class, its row of zeros is put in before "no object", as published.
    """

    def __init__(
        self,
        num_classes: int,
        pixel_losses: dict[str, ConfigType] | None = None,
        mask_losses: bool = True,
        ood_head: bool = False,
        outlier_class: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(num_classes=num_classes + outlier_class, **kwargs)
        self.num_inliers = self.out_channels = num_classes
        self.mask_losses = mask_losses
        self.pixel_losses = nn.ModuleDict({k: MODELS.build(v) for k, v in (pixel_losses or {}).items()})
        channels = self.pixel_decoder.mask_feature.out_channels
        self.ood_head = (
            nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 2, 1))
            if ood_head
            else None
        )
        self.ood_logits: Tensor | None = None  # of the last forward pass

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args) -> None:
        for name in ('weight', 'bias'):
            rows = state_dict.get(key := f'{prefix}cls_embed.{name}')
            if rows is not None and len(rows) == self.num_inliers + 1 == self.num_classes:
                state_dict[key] = torch.cat([rows[:-1], torch.zeros_like(rows[:1]), rows[-1:]])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: list[Tensor], batch_data_samples: list[SegDataSample]) -> tuple[list, list]:
        self.ood_logits = None
        return super().forward(x, batch_data_samples)

    def _forward_head(self, decoder_out: Tensor, mask_feature: Tensor, size: tuple[int, int]) -> tuple:
        if self.ood_head is not None and self.ood_logits is None:
            self.ood_logits = self.ood_head(mask_feature)
        return super()._forward_head(decoder_out, mask_feature, size)

    def _seg_data_to_instance_data(
        self, batch_data_samples: list[SegDataSample]
    ) -> tuple[list[InstanceData], list[dict]]:
        if self.num_classes == self.num_inliers:
            return super()._seg_data_to_instance_data(batch_data_samples)
        samples = []
        for sample in batch_data_samples:
            labels = self._labels(sample)
            target = labels.where(labels < self.num_inliers, IGNORED).masked_fill(
                labels == OUTLIER, self.num_inliers
            )
            samples.append(SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=target[None])))
        return super()._seg_data_to_instance_data(samples)

    def _labels(self, sample: SegDataSample) -> Tensor:
        """A sample's label map (H, W); see `sample_labels`."""
        return sample_labels(sample, self.num_inliers, self.ignored_labels)[0]

    def loss(
        self, x: list[Tensor], batch_data_samples: list[SegDataSample], train_cfg: ConfigType
    ) -> dict[str, Tensor]:
        """The losses of every prediction layer, ``dK.`` before all but the last layer's."""
        class_logits, mask_logits = self(x, batch_data_samples)
        losses: dict[str, Tensor] = {}
        if self.mask_losses:
            instances, metas = self._seg_data_to_instance_data(batch_data_samples)
            losses |= self.loss_by_feat(class_logits, mask_logits, instances, metas)
        if not self.pixel_losses:
            return losses
        labels = torch.stack([self._labels(sample) for sample in batch_data_samples])
        last = len(class_logits) - 1
        for layer, predictions in enumerate(zip(class_logits, mask_logits, strict=True)):
            prefix = '' if layer == last else f'd{layer}.'
            for name, loss in self.pixel_losses.items():
                if layer == last or not loss.last_only:
                    losses[f'{prefix}loss_{name}'] = loss(*predictions, labels, self.ood_logits)
        return losses
