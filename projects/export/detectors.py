"""mmdet's detectors of one and two stages and Sparse R-CNN as graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmdet.models import TwoStagePanopticSegmentor
from mmdet.models.dense_heads import ATSSHead, FCOSHead, RetinaHead, RPNHead
from mmdet.models.roi_heads import CascadeRoIHead, FCNMaskHead, SparseRoIHead, StandardRoIHead
from torch import Tensor, nn

from .boxes import best, decode, paste, pool, rows, suppress
from .image import Prepared


class Found(NamedTuple):
    """Detections of a batch, best first; n is the largest number of an image's, the others end with scores of 0."""

    boxes: Tensor  #: (B, n, 4) in pixels of the images as given
    scores: Tensor  #: (B, n)
    labels: Tensor  #: (B, n) int64, -1 where there is none
    extras: dict[str, Tensor] = {}  #: (B, n) by name, such as ``ood_scores``


def found(valid: Tensor, boxes: Tensor, scores: Tensor, labels: Tensor, **extras: Tensor) -> Found:
    """`Found`, with nothing where ``valid`` (B, n) is False."""
    labels = torch.where(valid, labels, torch.full_like(labels, -1))
    return Found(boxes * valid[..., None], scores * valid, labels, {k: v * valid for k, v in extras.items()})


class Candidates(NamedTuple):
    """Boxes of one level that may be detections; scores of 0 are none."""

    boxes: Tensor  #: (B, k, 4)
    scores: Tensor  #: (B, k)
    labels: Tensor  #: (B, k)


def flat(x: Tensor, width: int) -> Tensor:
    """Maps (B, A * width, h, w) as rows (B, h * w * A, width)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)


def dense_candidates(
    head: nn.Module, maps: tuple[Tensor, ...], image: Prepared, cfg: dict
) -> list[Candidates]:
    """Every level's best ``nms_pre`` pairs of box and class above ``score_thr``, boxes decoded in pixels of the input.
    mmdet's ``BaseDenseHead._predict_by_feat_single`` (and ``RPNHead``'s)."""
    scores, predictions, *factors = head(maps)
    priors = head.prior_generator.grid_priors([s.shape[-2:] for s in scores], device=scores[0].device)
    levels, classes = [], head.cls_out_channels
    if not head.use_sigmoid_cls:
        raise ValueError(f'{type(head).__name__} with softmax scores is not exported')
    for level, (score, prediction, prior) in enumerate(zip(scores, predictions, priors)):
        score = flat(score, classes).sigmoid()
        score = (score * (score > float(cfg.get('score_thr', 0)))).flatten(1)
        kept, index = best(score, int(cfg['nms_pre']))
        label = index % classes
        index = torch.div(index, classes, rounding_mode='trunc')
        boxes = decode(head.bbox_coder, prior[index], rows(flat(prediction, 4), index), image.limits)
        if factors:
            kept = kept * rows(flat(factors[0][level], 1).sigmoid(), index)[..., 0]
        smallest = cfg.get('min_bbox_size', -1)
        if smallest >= 0:
            kept = kept * (boxes[..., 2:] - boxes[..., :2] > smallest).all(-1)
        levels.append(Candidates(boxes, kept, label))
    return levels


def nms_of(cfg: dict) -> float:
    """The IoU threshold of a test configuration's suppression.

    Raises:
        ValueError: It is not plain class-wise suppression.
    """
    nms = dict(cfg['nms'])
    if nms.pop('type', 'nms') != 'nms' or set(nms) - {'iou_threshold'}:
        raise ValueError(
            f'suppression by {dict(cfg["nms"])} is not exported; dict(type="nms", iou_threshold=...) is'
        )
    return float(nms['iou_threshold'])


class SingleStage(nn.Module):
    """RetinaNet, ATSS and FCOS."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Prepared) -> Found:
        head, cfg = self.model.bbox_head, self.model.test_cfg
        levels = dense_candidates(head, self.model.extract_feat(image.inputs), image, cfg)
        boxes, scores, labels = (torch.cat(parts, 1) for parts in zip(*levels))
        boxes = boxes * image.factor
        kept, valid = suppress(boxes, scores, labels, nms_of(cfg), int(cfg['max_per_img']))
        return found(valid, rows(boxes, kept), scores.gather(1, kept), labels.gather(1, kept))


def proposals(head: RPNHead, maps: tuple[Tensor, ...], image: Prepared, cfg: dict) -> tuple[Tensor, Tensor]:
    """Boxes (B, n, 4) of the region proposal network, and which are (the others are 0)."""
    levels = dense_candidates(head, maps, image, cfg)
    boxes, scores = (torch.cat(parts, 1) for parts in list(zip(*levels))[:2])
    ids = torch.cat([torch.full_like(level.labels, i) for i, level in enumerate(levels)], 1)
    kept, valid = suppress(boxes, scores, ids, nms_of(cfg), int(cfg['max_per_img']))
    return rows(boxes, kept) * valid[..., None], valid


class TwoStage(nn.Module):
    """Faster, Cascade, Libra and Mask R-CNN, and AbeT's with a score of the unknown."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.masks = model, model.roi_head.with_mask

    def forward(self, image: Prepared) -> Found:
        maps = self.model.extract_feat(image.inputs)
        regions, valid = proposals(self.model.rpn_head, maps, image, self.model.test_cfg.rpn)
        roi_head = self.model.roi_head
        extractors, heads = roi_head.bbox_roi_extractor, roi_head.bbox_head
        if not isinstance(heads, nn.ModuleList):
            extractors, heads = [extractors], [heads]
        total: Any = 0
        for stage, (extractor, head) in enumerate(zip(extractors, heads)):
            logits, deltas = head(pool(maps, regions, extractor))
            logits = logits.reshape(regions.shape[0], -1, logits.shape[1])
            deltas = deltas.reshape(regions.shape[0], -1, deltas.shape[1] // 4, 4)
            total = total + logits
            if stage < len(heads) - 1:
                if not head.reg_class_agnostic:
                    raise ValueError('a cascade with boxes for every class is not exported')
                regions = decode(head.bbox_coder, regions, deltas[:, :, 0], image.limits)
        scale = torch.ones(4) if roi_head.with_mask else image.factor  # mmdet suppresses before it scales
        result = self.detections(head, regions, valid, total / len(heads), deltas, image, scale)
        if not roi_head.with_mask:
            return result
        extras = dict(masks=self.draw(maps, result, image)) if self.masks else {}
        return result._replace(boxes=result.boxes * image.factor, extras=result.extras | extras)

    def draw(self, maps: tuple[Tensor, ...], result: Found, image: Prepared) -> Tensor:
        """Masks (B, n, H, W) of detections whose boxes are in pixels of the network's input: ``FCNMaskHead``'s, of a
        cascade the mean of its stages'."""
        roi_head = self.model.roi_head
        extractors, heads = roi_head.mask_roi_extractor, roi_head.mask_head
        if not isinstance(heads, nn.ModuleList):
            extractors, heads = [extractors], [heads]
        labels, probs = result.labels.clamp(min=0).reshape(-1, 1, 1, 1), []
        for extractor, head in zip(extractors, heads):
            if type(head) is not FCNMaskHead:
                raise ValueError(
                    f'masks of {type(head).__name__} are not exported: leave them out (--no-masks)'
                )
            own = head(pool(maps, result.boxes, extractor)).sigmoid()
            if not head.class_agnostic:
                own = own.gather(1, labels.expand(-1, -1, *own.shape[2:]))
            probs.append(own)
        threshold = float(roi_head.test_cfg.mask_thr_binary)
        masks = paste(torch.stack(probs).mean(0), result.boxes * image.factor, image.original, threshold)
        return masks & (result.labels >= 0)[..., None, None]

    def detections(
        self,
        head: nn.Module,
        regions: Tensor,
        valid: Tensor,
        logits: Tensor,
        deltas: Tensor,
        image: Prepared,
        scale: Tensor,
    ) -> Found:
        """mmdet's ``BBoxHead._predict_by_feat_single`` and ``multiclass_nms``."""
        cfg, classes = self.model.test_cfg.rcnn, head.num_classes
        scores = logits.softmax(-1)[..., :-1]
        scores = scores * (scores > float(cfg['score_thr'])) * valid[..., None]
        boxes = decode(head.bbox_coder, regions[:, :, None], deltas, image.limits) * scale
        boxes = boxes.expand(-1, -1, classes, -1).flatten(1, 2)
        labels = torch.arange(classes).repeat(regions.shape[1])[None]
        scores = scores.flatten(1)
        kept, valid = suppress(boxes, scores, labels, nms_of(cfg), int(cfg['max_per_img']))
        extras = {}
        if hasattr(head, 'ood_score'):
            from ..abet.det import ood_score

            unknown = ood_score(logits.flatten(0, 1), head.ood_score).reshape(logits.shape[:2])
            region = torch.div(kept, classes, rounding_mode='trunc')
            extras['ood_scores'] = unknown.gather(1, region)
        return found(valid, rows(boxes, kept), scores.gather(1, kept), kept % classes, **extras)


class Sparse(nn.Module):
    """Sparse R-CNN: learned proposals, refined stage by stage, without suppression."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Prepared) -> Found:
        maps, rpn, roi_head = self.model.extract_feat(image.inputs), self.model.rpn_head, self.model.roi_head
        batch = image.inputs.shape[0]
        center, size = rpn.init_proposal_bboxes.weight.split(2, 1)
        regions = torch.cat([center - size / 2, center + size / 2], 1) * image.limits
        regions = regions[None].expand(batch, -1, -1)
        features = rpn.init_proposal_features.weight[None].expand(batch, -1, -1)
        for extractor, head in zip(roi_head.bbox_roi_extractor, roi_head.bbox_head):
            pooled = pool(maps[: extractor.num_inputs], regions, extractor)
            logits, deltas, features, _ = head(pooled, features)
            regions = decode(head.bbox_coder, regions, deltas, image.limits)
        if not head.loss_cls.use_sigmoid:
            raise ValueError('Sparse R-CNN with softmax scores is not exported')
        scores, index = logits.sigmoid().flatten(1).topk(int(roi_head.test_cfg.max_per_img))
        region = torch.div(index, head.num_classes, rounding_mode='trunc')
        boxes = rows(regions, region) * image.factor
        return Found(boxes, scores, index % head.num_classes)


def detector(model: nn.Module) -> nn.Module | None:
    """The graph of one of mmdet's detectors; None for others."""
    if isinstance(model, TwoStagePanopticSegmentor):
        return None
    roi_head = getattr(model, 'roi_head', None)
    known: list[tuple[Any, Callable]] = [
        (type(roi_head) is SparseRoIHead, Sparse),
        (type(roi_head) in (StandardRoIHead, CascadeRoIHead) and type(model.rpn_head) is RPNHead, TwoStage),
        (
            roi_head is None and type(getattr(model, 'bbox_head', None)) in (RetinaHead, ATSSHead, FCOSHead),
            SingleStage,
        ),
    ]
    return next((graph(model) for fits, graph in known if fits), None)
