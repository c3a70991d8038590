"""Mask2Former's decode head for semantic segmentation."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from .pixel_decoder import xavier_uniform
from .semantic import semantic_map

#: Labels that no class has: outliers, which some losses read, and pixels without a label.
OUTLIER, IGNORED = 254, 255


class PublishedTraining:
    """Mixin: the published initialization, losses in float32, and errors that say what is wrong.

    Raises:
        ValueError: ``num_classes`` and the class weights of ``loss_cls`` differ in number.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        weights = self.class_weight
        if isinstance(weights, Sequence) and len(weights) != self.num_classes + 1:
            raise ValueError(
                f'{type(self).__name__} has {self.num_classes} classes, but loss_cls.class_weight has '
                f'{len(weights)} entries: it needs one a class and a last one for "no object", such as '
                f'[1.0] * {self.num_classes} + [0.1]'
            )

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
        """The losses of all layers, matched and computed in float32 under autocast too.

        Raises:
            ValueError: Predictions are not finite, so that they cannot be matched; says of which image, since
                when and what to do.
        """
        logits, masks = ([x.float() for x in layers] for layers in (all_cls_scores, all_mask_preds))
        try:
            with torch.autocast(logits[0].device.type, enabled=False):
                return super().loss_by_feat(logits, masks, batch_gt_instances, batch_img_metas)
        except ValueError as error:
            if message := self._why_not_finite(logits, masks, batch_img_metas):
                raise ValueError(message) from error
            raise

    def _why_not_finite(
        self, logits: list[Tensor], masks: list[Tensor], metas: Sequence[dict | Sequence[dict]]
    ) -> str:
        """What is known about predictions that are not finite; empty where all are finite."""
        finite = torch.stack([x.isfinite().flatten(1).all(1) for x in (*logits, *masks)]).all(0).tolist()
        if all(finite):
            return ''
        bad = [meta for meta, good in zip(metas, finite) if not good]
        bad = [meta if isinstance(meta, dict) else meta[0] for meta in bad]
        images = ', '.join(str(meta.get('img_path', 'an image')) for meta in bad)
        spoilt = [name for name, value in self.named_parameters() if not value.isfinite().all()]
        cause = (
            f'as are weights ({", ".join(spoilt[:3])}{", ..." if len(spoilt) > 3 else ""}): the step before this '
            f'one spoilt them, or the checkpoint that was loaded'
            if spoilt
            else "the head's weights are finite: its features or its input are not"
        )
        hub = MessageHub.get_current_instance()
        iteration = hub.get_info('iter')
        when = '' if iteration is None else f'iteration {iteration + 1}: '
        return (
            f'{when}the predictions for {images} are not finite (NaN or infinite) and cannot be matched with its '
            f'objects; {cause}. {_since(hub)}Go on from a checkpoint before that with a lower learning rate, a '
            f'longer warm-up or clipped gradients (optim_wrapper.optimizer.lr, param_scheduler, '
            f'optim_wrapper.clip_grad); in mixed precision, try without'
        )


def _since(hub: MessageHub) -> str:
    """Since when the logged loss is not finite."""
    if 'train/loss' not in hub.log_scalars:
        return ''
    values, steps = hub.log_scalars['train/loss'].data
    bad = [int(step) for value, step in zip(values, steps) if not torch.tensor(float(value)).isfinite()]
    return f'The loss is not finite since step {bad[0] + 1} of this run. ' if bad else ''


def sample_labels(
    sample: SegDataSample, num_classes: int, ignored: Collection[int] = (OUTLIER, IGNORED)
) -> tuple[Tensor, Tensor]:
    """A sample's label map (H, W) int64, and the classes in it, rising.

    Args:
        num_classes: Labels must be 0 to ``num_classes`` - 1 ...
        ignored: ... or among these.

    Raises:
        ValueError: The label map has several channels or other labels; names the file.
    """
    labels, meta = sample.gt_sem_seg.data, sample.metainfo
    name = meta.get('seg_map_path') or meta.get('img_path') or 'a label map'
    if labels.ndim != 3 or len(labels) != 1:
        raise ValueError(
            f'{name}: the label map is {tuple(labels.shape)}, expected (1, height, width) of class ids; load it '
            f'with LoadLabelMap'
        )
    labels = labels[0].long()
    present = labels.unique()
    unknown = present[(present < 0) | (present >= num_classes)].tolist()
    if unknown := sorted(set(unknown) - set(ignored)):
        raise ValueError(
            f'{name}: labels {", ".join(map(str, unknown))} are no class; the head has {num_classes} '
            f'(num_classes), and ignores {", ".join(map(str, sorted(set(ignored))))}'
        )
    return labels, present[present < num_classes]


@MODELS.register_module()
class Mask2FormerSemSegHead(PublishedTraining, Mask2FormerHead):
    """mmseg's Mask2Former head with outliers (254) and ignored pixels (255, ``ignore_index``) kept out of the
    mask targets and other labels outside the classes refused, a semantic map in bounded memory and the
    published initialization.
    """

    @property
    def ignored_labels(self) -> set[int]:
        return {OUTLIER, IGNORED, self.ignore_index}

    def _seg_data_to_instance_data(
        self, batch_data_samples: list[SegDataSample]
    ) -> tuple[list[InstanceData], list[dict]]:
        instances = []
        for sample in batch_data_samples:
            labels, classes = sample_labels(sample, self.num_classes, self.ignored_labels)
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
