"""Detic's models as graphs, with a fixed vocabulary: CenterNet2, Faster R-CNN C4 and Deformable DETR."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from ..detic.detector import Detic, DeticDETR
from .boxes import best, decode, paste, pool, rows, suppress
from .detectors import Found, proposals
from .image import Prepared
from .operators import non_max_suppression


class OpenVocabulary(nn.Module):
    """Detic of one or several stages. One image at a time; masks are bool at the size of the image as given.

    Args:
        model: With its vocabulary set.
        masks: Add masks, where the model has them.
    """

    one_image = True

    def __init__(self, model: Detic, masks: bool = True) -> None:
        super().__init__()
        self.model = model
        if model.vocabulary is not None:
            model.roi_head.set_classifier(model.classifier_of(model.vocabulary))
        self.masks = masks and model.roi_head.with_mask and model.roi_head.test_cfg.get('masks', True)

    def forward(self, image: Prepared) -> Found:
        model, roi_head = self.model, self.model.roi_head
        maps = model.extract_feat(image.inputs)
        if isinstance(model.rpn_head, RPNHead):
            regions, _ = proposals(model.rpn_head, maps, image, model.test_cfg.rpn)
            certainty = None
        else:
            regions, certainty = self.center_proposals(maps)
        scores: Any = 0
        for head in roi_head.bbox_head:
            pooled = pool(maps, regions, roi_head.bbox_roi_extractor)
            pooled = roi_head.shared_head(pooled) if roi_head.with_shared_head else pooled
            logits, deltas, _ = head(pooled)
            scores = scores + logits[:, :-1].sigmoid() / roi_head.num_stages
            regions = decode(head.bbox_coder, regions, deltas[None], image.limits)
        if roi_head.proposal_score:
            scores = (scores * certainty[0][:, None]).sqrt()
        boxes, best_scores, labels = self.select(regions[0], scores)
        extras = dict(masks=self.draw(maps, boxes, image)) if self.masks else {}
        return Found((boxes * image.factor)[None], best_scores[None], labels[None], extras)

    def center_proposals(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """``CenterNetRPNHead.predict_by_feat``: boxes (1, n, 4) and the roots of their probabilities (1, n)."""
        head, boxes, scores = self.model.rpn_head, [], []
        cfg = head.test_cfg
        heatmaps, distances = head(maps)
        for heatmap, distance, grid, stride in zip(heatmaps, distances, head.grids(heatmaps), head.strides):
            score = heatmap.flatten(1).sigmoid()
            score, index = best(score * (score > float(cfg['score_thr'])), int(cfg['nms_pre']))
            ltrb = rows(distance.flatten(2).transpose(1, 2), index) * stride
            low, high = grid[index] - ltrb[..., :2], grid[index] + ltrb[..., 2:]
            boxes.append(torch.cat([low, torch.maximum(high, low + 0.01)], -1))
            scores.append(score.sqrt())
        boxes, scores = torch.cat(boxes, 1), torch.cat(scores, 1)
        kept, _ = suppress(boxes, scores, None, float(cfg['nms']['iou_threshold']), int(cfg['max_per_img']))
        return rows(boxes, kept), scores.gather(1, kept)

    def select(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``mmroad.detic.suppression.select_detections`` of boxes (n, 4) and scores (n, C), class by class."""
        cfg = self.model.roi_head.test_cfg
        most = int(cfg['max_per_img'])
        if cfg.get('one_class_per_proposal', False):
            scores = scores * (scores == scores.amax(1, keepdim=True))
        scores = scores * (scores > float(cfg['score_thr']))
        kept = non_max_suppression(boxes[None], scores.t()[None], float(cfg['nms']['iou_threshold']), most)
        labels, index = kept[:, 1], kept[:, 2]
        values, order = scores[index, labels].sort(descending=True)
        values, order = values[:most], order[:most]
        boxes, labels = boxes[index[order]], labels[order]
        whole = ((boxes[:, 2:] - boxes[:, :2]).amin(1) > 0).nonzero()[:, 0]  # those without area are dropped
        return boxes[whole], values[whole], labels[whole]

    def draw(self, maps: tuple[Tensor, ...], boxes: Tensor, image: Prepared) -> Tensor:
        """Masks (1, n, H, W) of boxes (n, 4) in pixels of the network's input."""
        roi_head = self.model.roi_head
        pooled = pool(maps, boxes[None], roi_head.mask_roi_extractor)
        probs = roi_head.mask_head(pooled)[:, :1].sigmoid()
        return paste(
            probs, boxes[None] * image.factor, image.original, float(roi_head.test_cfg.mask_thr_binary)
        )


class DeformableDETR(nn.Module):
    """Detic's two-stage Deformable DETR. One image at a time."""

    one_image = True

    def __init__(self, model: DeticDETR) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Prepared) -> Found:
        model, head = self.model, self.model.bbox_head
        size = tuple(image.inputs.shape[2:])
        sample = DetDataSample(metainfo=dict(batch_input_shape=size, img_shape=size))
        found = model.forward_transformer(model.extract_feat(image.inputs), [sample])
        logits, boxes = head(found['hidden_states'], found['references'])
        scores, boxes = logits[-1].sigmoid(), boxes[-1]
        if head.test_columns is not None:
            scores = scores[..., head.test_columns]
        if head.test_cfg.get('one_class_per_proposal', False):
            scores = scores * (scores == scores.amax(2, keepdim=True))
        classes = scores.shape[2]
        values, index = scores.flatten(1).topk(
            min(int(head.test_cfg.get('max_per_img', 300)), scores[0].numel())
        )
        query = torch.div(index, classes, rounding_mode='trunc')
        center, size = boxes.split(2, 2)
        boxes = torch.cat([center - size * 0.5, center + size * 0.5], 2) * image.limits
        return Found(rows(boxes, query) * image.factor, values, index % classes)


def open_vocabulary(model: nn.Module) -> nn.Module | None:
    """The graph of a Detic model; None for others."""
    if isinstance(model, DeticDETR):
        return DeformableDETR(model)
    return OpenVocabulary(model) if isinstance(model, Detic) else None
