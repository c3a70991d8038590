"""Detic: a two-stage detector that learns from boxes, image labels and captions, with a vocabulary
that can be swapped."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.registry import MODELS
from torch import Tensor

from .losses import federated_classes
from .vocabulary import Vocabulary, classifier_matrix

#: What a batch may be labelled with (``ann_type`` in the meta information; boxes if absent).
ANN_TYPES = ('box', 'image', 'caption', 'captiontag')


@MODELS.register_module()
class Detic(TwoStageDetector):
    """CenterNet2 or Faster R-CNN C4 with zero-shot heads.

    A batch holds one kind of annotation; ranks may hold different kinds in one step. Image
    labels are in the meta information as ``image_labels``, captions as ``caption_embedding``
    (a vector of the classifier's space, unit length not needed).

    Args:
        dynamic_classifier: Judge a batch on this many drawn classes (50 for 21k), 0 for all.
        num_box_classes: Of a dynamic classifier, the classes that have boxes (the first ones,
            drawn by the box heads' ``image_counts``).
        image_counts: File of their image counts.
    """

    def __init__(self, *args, dynamic_classifier: int = 0, image_counts: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.dynamic_classifier = dynamic_classifier
        if dynamic_classifier:
            from .bbox_head import load_image_counts

            counts = (
                torch.ones(self.roi_head.num_classes)
                if image_counts is None
                else load_image_counts(image_counts)
            )
            self.register_buffer('box_freq_weight', counts.sqrt(), persistent=False)

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Detect these classes from now on: every stage's classifier, and the class names."""
        self.roi_head.set_classifier(classifier_matrix(vocabulary.embeddings))
        self.dataset_meta = {**(getattr(self, 'dataset_meta', None) or {}), 'classes': vocabulary.names}

    def loss(self, batch_inputs: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        kind = annotation_kind(batch_data_samples)
        x = self.extract_feat(batch_inputs)
        losses = (
            self._box_loss(x, batch_data_samples)
            if kind == 'box'
            else self._weak_loss(kind, x, batch_data_samples)
        )
        # Ranks may hold different kinds of batch: every parameter takes part in each.
        losses['loss_zero'] = sum(p.sum() for p in self.parameters() if p.requires_grad) * 0
        return losses

    def _box_loss(self, x: tuple[Tensor, ...], samples: list) -> dict[str, Tensor]:
        classifier, to_column = self._draw_classes([s.gt_instances.labels for s in samples], 'box')
        if to_column is not None:
            for sample in samples:
                sample.gt_instances.labels = to_column[sample.gt_instances.labels]
        losses, proposals = self._rpn_loss(x, samples)
        return losses | self.roi_head.loss(x, proposals, samples, classifier)

    def _rpn_loss(self, x: tuple[Tensor, ...], samples: list) -> tuple[dict[str, Tensor], list]:
        labels = [s.gt_instances.labels for s in samples]
        for sample in samples:  # the proposal head knows one class
            sample.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
        try:
            return self.rpn_head.loss_and_predict(x, samples, proposal_cfg=self.train_cfg.rpn_proposal)
        finally:
            for sample, label in zip(samples, labels, strict=True):
                sample.gt_instances.labels = label

    def _weak_loss(self, kind: str, x: tuple[Tensor, ...], samples: list) -> dict[str, Tensor]:
        metas = [s.metainfo for s in samples]
        with torch.no_grad():
            outputs = self.rpn_head(x)
            proposals = self.rpn_head.predict_by_feat(
                *outputs, batch_img_metas=metas, cfg=self.train_cfg.rpn_proposal
            )
        labels = None
        if kind != 'caption':
            device = x[0].device
            labels = [torch.as_tensor(m['image_labels'], device=device, dtype=torch.long) for m in metas]
        classifier, to_column = self._draw_classes(labels, kind) if labels is not None else (None, None)
        if to_column is not None:
            labels = [to_column[label] for label in labels]
        captions, first = (None, 0) if kind == 'image' else gather_captions(metas, x[0].device)
        return self.roi_head.weak_loss(x, proposals, metas, labels, classifier, captions, first)

    def _draw_classes(self, labels: list[Tensor], kind: str) -> tuple[Tensor | None, Tensor | None]:
        """A classifier (dim, K + 1) of drawn classes and the map from class to its column."""
        if not self.dynamic_classifier:
            return None, None
        weight = self.roi_head.bbox_head[0].fc_cls.zs_weight
        num_classes = weight.shape[1] - 1
        present = torch.cat(labels)
        freq = self.box_freq_weight if kind == 'box' else weight.new_ones(num_classes)
        chosen = federated_classes(present, freq, self.dynamic_classifier).nonzero()[:, 0]
        to_column = torch.full((num_classes,), -1, dtype=torch.long, device=weight.device)
        to_column[chosen] = torch.arange(len(chosen), device=weight.device)
        return F.pad(weight[:, chosen], (0, 1)), to_column


def annotation_kind(samples: list) -> str:
    """The kind of annotation that all samples of a batch share."""
    kinds = {s.metainfo.get('ann_type', 'box') for s in samples}
    if len(kinds) != 1 or not kinds <= set(ANN_TYPES):
        raise ValueError(
            f'a batch must hold one kind of annotation of {ANN_TYPES}, this one holds {sorted(kinds)}'
        )
    return kinds.pop()


def gather_captions(metas: list[dict], device: torch.device) -> tuple[Tensor, int]:
    """Caption embeddings of all ranks (K, dim), unit rows, and the row of this rank's first.

    Every rank must take part with the same number of captions, so a step of captions is one on
    all ranks; with other kinds on other ranks, each judges its own.
    """
    own = torch.stack([torch.as_tensor(m['caption_embedding'], dtype=torch.float32) for m in metas]).to(
        device
    )
    own = F.normalize(own, dim=1)
    if not (dist.is_available() and dist.is_initialized()) or not all(
        m.get('sync_captions', False) for m in metas
    ):
        return own, 0
    parts = [torch.zeros_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts), dist.get_rank() * len(own)
