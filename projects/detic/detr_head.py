"""The head of Detic's two-stage Deformable DETR: federated focal loss, image labels, unclipped boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DeformableDETRHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, scale_boxes
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .bbox_head import load_image_counts
from .losses import federated_classes


@MODELS.register_module()
class FederatedFocalLoss(nn.Module):
    """Sigmoid focal loss over drawn classes only: those of the batch, filled up by frequency.

    Args:
        num_classes: C.
        federated: Classes a layer is judged on; 0 for all.
        image_counts: File of the classes' image counts; None for equal chances.
        alpha, gamma: Parameters of the focal loss (Lin et al., arXiv:1708.02002).
    """

    use_sigmoid = True

    def __init__(
        self,
        num_classes: int,
        federated: int = 50,
        image_counts: str | None = None,
        alpha: float = 0.25,
        gamma: float = 2.0,
        loss_weight: float = 2.0,
    ) -> None:
        super().__init__()
        self.federated, self.image_counts = federated, image_counts
        self.alpha, self.gamma, self.loss_weight = alpha, gamma, loss_weight
        self.register_buffer('freq_weight', torch.ones(num_classes), persistent=False)

    def init_weights(self) -> None:
        """Read the class counts; mmengine calls this before training."""
        if self.image_counts is not None:
            counts = load_image_counts(self.image_counts, len(self.freq_weight))
            self.freq_weight = counts.sqrt().to(self.freq_weight)

    def forward(self, logits: Tensor, labels: Tensor, weight: Tensor | None = None, avg_factor=1.0) -> Tensor:
        """Sum over regions and classes / avg_factor; logits (n, C), labels (n,) in 0..C, C for no object."""
        num_classes = logits.shape[1]
        target = F.one_hot(labels, num_classes + 1)[:, :num_classes].to(logits.dtype)
        if self.federated:
            chosen = federated_classes(labels[labels < num_classes], self.freq_weight, self.federated) > 0
            logits, target = logits[:, chosen], target[:, chosen]
        p = logits.sigmoid()
        p_t = p * target + (1 - p) * (1 - target)
        alpha = self.alpha * target + (1 - self.alpha) * (1 - target)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        return self.loss_weight * (alpha * (1 - p_t) ** self.gamma * loss).sum() / avg_factor


@MODELS.register_module()
class DeticDETRHead(DeformableDETRHead):
    """The head of two-stage Deformable DETR that also learns from image labels, with unclipped boxes.

    Args (beyond mmdet's head):
        image_loss_weight: Weight of the max-size image-label loss.
    """

    def __init__(self, *args, image_loss_weight: float = 0.1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.image_loss_weight = image_loss_weight
        self.test_columns: list[int] | None = None  # the classes to detect, None for all

    def loss(
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        enc_outputs_class: Tensor,
        enc_outputs_coord: Tensor,
        batch_data_samples: list,
    ) -> dict[str, Tensor]:
        """As mmdet's; an image-labeled batch (``ann_type`` not ``box``) has no boxes, which makes every
        query a negative of the drawn classes as published, and adds the image-label loss."""
        weak = [s.metainfo.get('ann_type', 'box') != 'box' for s in batch_data_samples]
        if any(weak) and not all(weak):
            raise ValueError(
                'a batch must hold one kind of annotation, this one holds boxes and image labels'
            )
        scores, boxes = self(hidden_states, references)
        metas = [s.metainfo for s in batch_data_samples]
        gts = [
            _no_boxes(s.gt_instances) if w else s.gt_instances
            for s, w in zip(batch_data_samples, weak, strict=True)
        ]
        losses = self.loss_by_feat(scores, boxes, enc_outputs_class, enc_outputs_coord, gts, metas)
        losses['loss_image'] = scores.sum() * 0
        if all(weak):
            losses['loss_image'] = self.image_loss_weight * self.max_size_loss(
                scores, boxes, [m['image_labels'] for m in metas]
            )
        return losses

    @staticmethod
    def max_size_loss(scores: Tensor, boxes: Tensor, image_labels: list) -> Tensor:
        """BCE of each layer's largest box, summed over layers, mean over an image's labels and images.

        Args:
            scores: (L, B, N, C) logits.
            boxes: (L, B, N, 4) normalized cxcywh.
        """
        total = scores.sum() * 0
        layers = torch.arange(len(scores), device=scores.device)
        for i, labels in enumerate(image_labels):
            largest = boxes[:, i, :, 2:].prod(-1).argmax(1)
            logits = scores[layers, i, largest]
            for label in labels:
                target = torch.zeros_like(logits)
                target[:, int(label)] = 1
                loss = F.binary_cross_entropy_with_logits(logits, target, reduction='sum')
                total = total + loss / len(labels)
        return total / len(image_labels)

    def loss_by_feat(self, *args, **kwargs) -> dict[str, Tensor]:
        """As mmdet's, with the encoder's losses weighted 1, as published."""
        losses = super().loss_by_feat(*args, **kwargs)
        for name, module in (('cls', self.loss_cls), ('bbox', self.loss_bbox), ('iou', self.loss_iou)):
            if f'enc_loss_{name}' in losses:
                losses[f'enc_loss_{name}'] = losses[f'enc_loss_{name}'] / module.loss_weight
        return losses

    def predict_by_feat(
        self, scores: Tensor, boxes: Tensor, batch_img_metas: list[dict], rescale: bool = False
    ) -> InstanceList:
        """The best ``max_per_img`` of queries x classes (of the queries, with ``one_class_per_proposal`` in
        ``test_cfg``); boxes are not clipped to the image."""
        results = []
        for score, box, meta in zip(scores[-1].sigmoid(), boxes[-1], batch_img_metas, strict=True):
            score = score if self.test_columns is None else score[:, self.test_columns]
            num_classes = score.shape[1]
            if self.test_cfg.get('one_class_per_proposal', False):
                score = score * (score == score.max(1, keepdim=True).values)
            best, index = score.flatten().topk(min(self.test_cfg.get('max_per_img', 300), score.numel()))
            h, w = meta['img_shape']
            bboxes = bbox_cxcywh_to_xyxy(box)[index // num_classes] * box.new_tensor([w, h, w, h])
            if rescale:
                bboxes = scale_boxes(bboxes, [1 / s for s in meta['scale_factor']])
            results.append(InstanceData(bboxes=bboxes, scores=best, labels=index % num_classes))
        return results


def _no_boxes(gt: InstanceData) -> InstanceData:
    return InstanceData(bboxes=gt.bboxes[:0], labels=gt.labels[:0])
