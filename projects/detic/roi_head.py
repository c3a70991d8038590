"""The cascade of zero-shot box heads with one class-agnostic mask head."""

from __future__ import annotations

import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.utils import empty_instances
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi, scale_boxes
from mmdet.utils import InstanceList
from mmengine.model import ModuleList
from torch import Tensor

from .losses import IMAGE_LABEL_LOSSES, caption_loss, image_label_loss
from .mask_targets import mask_targets
from .matching import Matched, match, sample
from .suppression import select_detections


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad * ctx.factor, None


@MODELS.register_module()
class DeticRoIHead(BaseRoIHead):
    """Box stages that share the proposals' boxes in turn; scores are fused over the stages.

    One stage and a ``shared_head`` (ResNet's layer4) make the C4 variant.

    Args:
        bbox_head: ``DeticBBoxHead``'s config, the same for every stage.
        bbox_reg_weights: Factors of a stage's box deltas (x, y, w, h), one entry a stage.
        proposal_score: Multiply class scores by the proposal's and take the root (C2).
        image_loss: Kind of the image-label loss (``mmroad.detic.losses.IMAGE_LABEL_LOSSES``), or None.
        image_loss_weight: Weight of the image-label loss and of the caption loss at each stage.
        num_weak_proposals: Proposals an image-labeled image is judged on.
        image_box: Append the whole image as a region of such images.
        caption_weight, neg_caption_weight: A further weight of the caption loss, and that of its negatives.
        train_cfg: ``stages`` (IoU threshold of each), ``num`` and ``pos_fraction`` of the first
            stage's sample, ``mask_size``.
        test_cfg: ``score_thr``, ``nms``, ``max_per_img``, ``mask_thr_binary``,
            ``one_class_per_proposal``, ``masks`` (False leaves them out),
            ``features`` (True adds ``features``, the detections' unit embeddings).
    """

    def __init__(
        self,
        bbox_roi_extractor: dict,
        bbox_head: dict,
        mask_roi_extractor: dict | None = None,
        mask_head: dict | None = None,
        shared_head: dict | None = None,
        bbox_reg_weights: tuple[tuple[float, ...], ...] = (
            (10, 10, 5, 5),
            (20, 20, 10, 10),
            (30, 30, 15, 15),
        ),
        proposal_score: bool = True,
        image_loss: str | None = None,
        image_loss_weight: float = 0.1,
        num_weak_proposals: int = 128,
        image_box: bool = False,
        caption_weight: float = 1.0,
        neg_caption_weight: float = 1.0,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        self.bbox_reg_weights, self.num_stages = bbox_reg_weights, len(bbox_reg_weights)
        super().__init__(
            bbox_roi_extractor,
            bbox_head,
            mask_roi_extractor,
            mask_head,
            shared_head,
            train_cfg,
            test_cfg,
            init_cfg,
        )
        self.proposal_score = proposal_score
        self.image_loss, self.image_loss_weight = image_loss, image_loss_weight
        self.num_weak_proposals, self.image_box = num_weak_proposals, image_box
        self.caption_weight, self.neg_caption_weight = caption_weight, neg_caption_weight
        if image_loss is not None and image_loss not in IMAGE_LABEL_LOSSES:
            raise ValueError(f'image_loss must be one of {", ".join(IMAGE_LABEL_LOSSES)}, not {image_loss!r}')
        if image_loss == 'image' and not image_box:
            raise ValueError('image_loss=image judges the whole-image region: set image_box=True')
        if image_loss == 'wsddn' and self.bbox_head[0].prop_score is None:
            raise ValueError('image_loss=wsddn needs the second stream: bbox_head=dict(prop_score=True)')
        self.test_classifier: Tensor | None = None  # a vocabulary in place of the heads' own

    def init_bbox_head(self, bbox_roi_extractor: dict, bbox_head: dict) -> None:
        self.bbox_roi_extractor = MODELS.build(bbox_roi_extractor)
        coders = [
            dict(type='DeltaXYWHBBoxCoder', target_stds=[1 / w for w in weights])
            for weights in self.bbox_reg_weights
        ]
        self.bbox_head = ModuleList([MODELS.build(dict(bbox_head, bbox_coder=coder)) for coder in coders])

    def init_mask_head(self, mask_roi_extractor: dict, mask_head: dict) -> None:
        self.mask_roi_extractor = MODELS.build(mask_roi_extractor)
        self.mask_head = MODELS.build(mask_head)

    def init_assigner_sampler(self) -> None:
        """Matching and sampling are two functions below; nothing to build."""

    @property
    def num_classes(self) -> int:
        return self.bbox_head[0].num_classes

    def set_classifier(self, weight: Tensor) -> None:
        """Replace the vocabulary of every stage by a matrix (dim, C + 1) of unit columns."""
        for head in self.bbox_head:
            head.fc_cls.set_weight(weight)
            head.num_classes = weight.shape[1] - 1

    # ----------------------------------------------------------------- shared

    def pool(self, x: tuple[Tensor, ...], rois: Tensor) -> Tensor:
        """Pooled features (n, channels, h, w) of regions (n, 5)."""
        pooled = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        return self.shared_head(pooled) if self.with_shared_head else pooled

    def stage_forward(
        self, stage: int, x: tuple[Tensor, ...], boxes: list[Tensor], classifier: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...] | None]:
        """Logits, deltas and region scores of one stage, split by image."""
        pooled = self.pool(x, bbox2roi(boxes))
        if self.training and self.num_stages > 1:
            pooled = _ScaleGradient.apply(pooled, 1 / self.num_stages)
        logits, deltas, prop = self.bbox_head[stage](pooled, classifier)
        sizes = [len(b) for b in boxes]
        return logits.split(sizes), deltas.split(sizes), None if prop is None else prop.split(sizes)

    def refine(self, stage: int, boxes: Tensor, deltas: Tensor, img_shape: tuple[int, int]) -> Tensor:
        """A stage's boxes, clipped to the unpadded image."""
        return self.bbox_head[stage].bbox_coder.decode(boxes, deltas, max_shape=img_shape)

    def forward(
        self, x: tuple[Tensor, ...], rpn_results_list: InstanceList, batch_data_samples: list
    ) -> tuple:
        """Class scores, boxes and mask logits of every proposal, without any selection."""
        metas = [s.metainfo for s in batch_data_samples]
        boxes, scores = self.cascade(x, rpn_results_list, metas)
        if not self.with_mask:
            return scores, boxes
        return scores, boxes, self._mask_forward(x, bbox2roi(boxes))

    # --------------------------------------------------------------- training

    def loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: list,
        classifier: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a box-labeled batch.

        Args:
            classifier: (dim, K + 1), the classes drawn for this batch; labels then are its columns.
        """
        metas = [s.metainfo for s in batch_data_samples]
        gts = [s.gt_instances for s in batch_data_samples]
        background = self.num_classes if classifier is None else classifier.shape[1] - 1
        boxes = [
            torch.cat([p.bboxes, gt.bboxes.to(p.bboxes)]) for p, gt in zip(rpn_results_list, gts, strict=True)
        ]
        losses, masks = {}, None
        for stage, iou in enumerate(self.train_cfg['stages']):
            matched = [match(b, gt, iou, background) for b, gt in zip(boxes, gts, strict=True)]
            if stage == 0:
                matched = [
                    sample(m, background, self.train_cfg['num'], self.train_cfg['pos_fraction'])
                    for m in matched
                ]
                masks = matched
            boxes = [m.bboxes for m in matched]
            logits, deltas, _ = self.stage_forward(stage, x, boxes, classifier)
            fields = [torch.cat(field) for field in (logits, deltas, boxes)]
            labels, targets = (torch.cat([getattr(m, k) for m in matched]) for k in ('labels', 'gt_bboxes'))
            stage_losses = self.bbox_head[stage].loss(*fields, labels, targets)
            losses.update({f's{stage}.{name}': value for name, value in stage_losses.items()})
            boxes = self._next_boxes(stage, boxes, deltas, metas)
        if self.with_mask:
            losses['loss_mask'] = self._mask_loss(x, masks, gts, background)
        return losses

    def _next_boxes(
        self, stage: int, boxes: list[Tensor], deltas: tuple[Tensor, ...], metas: list[dict]
    ) -> list[Tensor]:
        with torch.no_grad():
            refined = [
                self.refine(stage, b, d, m['img_shape']) for b, d, m in zip(boxes, deltas, metas, strict=True)
            ]
            return [b[(b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1])] for b in refined]

    def _mask_loss(self, x: tuple[Tensor, ...], matched: list[Matched], gts: list, background: int) -> Tensor:
        if any('masks' not in gt for gt in gts):
            raise ValueError(
                'the mask head learns from masks, the ground truth has none: load them '
                "(dict(type='LoadDeticAnnotations', with_mask=True)), or leave the head out (mask_head=None, "
                'mask_roi_extractor=None)'
            )
        positive = [Matched(*(field[m.labels < background] for field in m)) for m in matched]
        logits = self._mask_forward(x, bbox2roi([p.bboxes for p in positive]))
        if not len(logits):
            return logits.sum() * 0
        size = self.train_cfg['mask_size']
        targets = [
            mask_targets(gt.masks, p.bboxes, p.gt_index, size) for p, gt in zip(positive, gts, strict=True)
        ]
        # the head has one mask for all classes
        one_class = torch.cat([p.labels for p in positive]).zero_()
        return self.mask_head.loss_mask(logits, torch.cat(targets), one_class)

    def weak_loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_img_metas: list[dict],
        image_labels: list[Tensor] | None,
        classifier: Tensor | None = None,
        captions: Tensor | None = None,
        first_caption: int = 0,
    ) -> dict[str, Tensor]:
        """Losses of an image-labeled or captioned batch.

        Args:
            image_labels: (k_i,) classes of each image, or None to use captions alone.
            captions: (K, dim) unit embeddings of the captions of all ranks.
            first_caption: Row of this rank's first caption.
        """
        if captions is not None and not self.image_box:
            raise ValueError('the caption loss judges the whole-image region: set image_box=True')
        if image_labels is not None and self.image_loss is None:
            raise ValueError('a batch has image labels, the model no loss of them: set image_loss=max_size')
        boxes = [
            self._weak_boxes(p.bboxes.detach(), m['img_shape'])
            for p, m in zip(rpn_results_list, batch_img_metas, strict=True)
        ]
        weight = classifier
        if captions is not None:
            base = self.bbox_head[0].fc_cls.zs_weight if classifier is None else classifier
            weight = torch.cat([base, captions.t().to(base)], 1)
        losses = {}
        for stage in range(self.num_stages):
            logits, deltas, prop = self.stage_forward(stage, x, boxes, weight)
            if captions is not None:
                count = len(captions)
                each = [  # the whole image is the last region; refined boxes without area are gone
                    caption_loss(s[-1, -count:], first_caption + i, self.neg_caption_weight)
                    if len(s)
                    else s.sum()
                    for i, s in enumerate(logits)
                ]
                loss = self.caption_weight * sum(each) / len(each)
                losses[f's{stage}.loss_caption'] = self.image_loss_weight * loss
                logits = [s[:, :-count] for s in logits]
            if image_labels is not None:
                loss = image_label_loss(self.image_loss, list(logits), boxes, image_labels, prop)
                losses[f's{stage}.loss_image'] = self.image_loss_weight * loss
            boxes = self._next_boxes(stage, boxes, deltas, batch_img_metas)
        return losses

    def _weak_boxes(self, boxes: Tensor, img_shape: tuple[int, int]) -> Tensor:
        h, w = img_shape
        boxes = boxes[: self.num_weak_proposals].clone()
        boxes[:, 0::2].clamp_(0, w)
        boxes[:, 1::2].clamp_(0, h)
        return torch.cat([boxes, boxes.new_tensor([[0, 0, w, h]])]) if self.image_box else boxes

    # -------------------------------------------------------------- inference

    def cascade(
        self, x: tuple[Tensor, ...], rpn_results_list: InstanceList, batch_img_metas: list[dict]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Last-stage boxes (n, 4), clipped, and fused scores (n, C + 1) of each image:
        sqrt(mean over the stages of sigmoid(logits) * proposal score)."""
        boxes = [p.bboxes for p in rpn_results_list]
        fused = [0.0] * len(boxes)
        for stage in range(self.num_stages):
            logits, deltas, _ = self.stage_forward(stage, x, boxes, self.test_classifier)
            fused = [f + s.sigmoid() / self.num_stages for f, s in zip(fused, logits, strict=True)]
            boxes = [
                self.refine(stage, b, d, m['img_shape'])
                for b, d, m in zip(boxes, deltas, batch_img_metas, strict=True)
            ]
        if self.proposal_score:
            fused = [(f * p.scores[:, None]).sqrt() for f, p in zip(fused, rpn_results_list, strict=True)]
        return boxes, fused

    def predict_bbox(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict],
        rpn_results_list: InstanceList,
        rcnn_test_cfg: dict,
        rescale: bool = False,
    ) -> InstanceList:
        """``bboxes``, ``scores``, ``labels`` of each image, best first."""
        boxes, scores = self.cascade(x, rpn_results_list, batch_img_metas)
        results = [select_detections(b, s[:, :-1], rcnn_test_cfg) for b, s in zip(boxes, scores, strict=True)]
        if rcnn_test_cfg.get('features', False):
            for result, feature in zip(results, self.region_features(x, [r.bboxes for r in results])):
                result.features = feature
        if rescale:
            for result, meta in zip(results, batch_img_metas, strict=True):
                result.bboxes = scale_boxes(result.bboxes, [1 / s for s in meta['scale_factor']])
        return results

    def region_features(self, x: tuple[Tensor, ...], boxes: list[Tensor]) -> tuple[Tensor, ...]:
        """The last stage's unit embeddings (n, dim) of boxes, in the space of the class embeddings."""
        head = self.bbox_head[-1]
        embedded = head.fc_cls.embed(head.features(self.pool(x, bbox2roi(boxes))))
        return embedded.split([len(b) for b in boxes])

    def _mask_forward(self, x: tuple[Tensor, ...], rois: Tensor) -> Tensor:
        return self.mask_head(self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois))

    def predict_mask(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict],
        results_list: InstanceList,
        rescale: bool = False,
    ) -> InstanceList:
        """Adds ``masks``, (n, H, W) bool, unless ``test_cfg`` has ``masks=False``."""
        if not self.test_cfg.get('masks', True):
            for result, meta in zip(results_list, batch_img_metas, strict=True):
                if rescale:
                    result.bboxes = scale_boxes(result.bboxes, [1 / s for s in meta['scale_factor']])
            return results_list
        rois = bbox2roi([r.bboxes for r in results_list])
        if not len(rois):
            return empty_instances(
                batch_img_metas,
                rois.device,
                task_type='mask',
                instance_results=results_list,
                mask_thr_binary=self.test_cfg.mask_thr_binary,
            )
        masks = self._mask_forward(x, rois).split([len(r) for r in results_list])
        return self.mask_head.predict_by_feat(
            masks, results_list, batch_img_metas, self.test_cfg, rescale=rescale
        )
