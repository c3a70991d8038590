"""Detic: a two-stage detector that learns from boxes, image labels and captions, with a vocabulary
that can be swapped."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmdet.models.detectors import DeformableDETR
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.registry import MODELS
from torch import Tensor

from .bbox_head import load_image_counts
from .losses import federated_classes
from .swap import VocabularySwap
from .vocabulary import Vocabulary, classifier_matrix, own_columns, vocabulary_matrix

#: What a batch may be labeled with (``ann_type`` in the meta information; boxes if absent).
ANN_TYPES = ('box', 'image', 'caption', 'captiontag')


@MODELS.register_module()
class Detic(VocabularySwap, TwoStageDetector):
    """CenterNet2 or Faster R-CNN C4 with zero-shot heads.

    A batch holds one kind of annotation; ranks may hold different kinds in one step. Image
    labels are in the meta information as ``image_labels``, captions as ``caption_embedding``
    (a vector of the classifier's space, unit length not needed).

    Args:
        dynamic_classifier: Judge a batch on this many drawn classes (50 for 21k), 0 for all.
        image_counts: File of image counts, by which a box batch draws among the classes that have
            boxes (the first ones).
        vocabularies, vocabulary, class_names: See ``VocabularySwap``.
        sync_captions: Judge an image on the captions of all ranks.
    """

    kind = 'open_vocabulary'  #: the inferencer that runs it (`mmroad.inference.build`)

    def __init__(
        self,
        *args,
        dynamic_classifier: int = 0,
        image_counts: str | None = None,
        vocabularies: dict | None = None,
        vocabulary: str | list[str] | dict[str, str] | None = None,
        class_names: str | list[str] | None = None,
        sync_captions: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.dynamic_classifier, self.image_counts = dynamic_classifier, image_counts
        self.sync_captions = sync_captions
        self.init_vocabularies(vocabularies, vocabulary, class_names)
        if dynamic_classifier:
            self.register_buffer('box_freq_weight', torch.ones(self.roi_head.num_classes), persistent=False)

    def init_weights(self) -> None:
        """As mmdet's, and read the class counts."""
        super().init_weights()
        if self.dynamic_classifier and self.image_counts is not None:
            counts = load_image_counts(self.image_counts, self.roi_head.num_classes, least=1)
            self.box_freq_weight = counts.sqrt().to(self.box_freq_weight)

    @property
    def _num_classes(self) -> int:
        return self.roi_head.num_classes

    @property
    def _dim(self) -> int:
        return self.roi_head.bbox_head[0].fc_cls.linear.out_features

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Detect these classes from now on: every stage's classifier, and the class names."""
        self.roi_head.set_classifier(classifier_matrix(vocabulary.embeddings))
        self.class_names, self.vocabulary = list(vocabulary.names), None
        self._resolved.clear()
        self.dataset_meta = {**(getattr(self, 'dataset_meta', None) or {}), 'classes': vocabulary.names}

    def predict(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list:
        """As mmdet's, each image on the vocabulary that its meta information names."""
        self.roi_head.test_classifier = self.classifier_of(self.vocabulary_of(batch_data_samples))
        return super().predict(batch_inputs, batch_data_samples, rescale)

    def classifier_of(self, name: str | None) -> Tensor | None:
        """The matrix (dim, C + 1) of a vocabulary; None for the model's own."""
        if name is None:
            return None
        own = self.roi_head.bbox_head[0].fc_cls.zs_weight
        if name not in self._resolved:
            self._resolved[name] = vocabulary_matrix(self.places_of(name), own, self.own_names())
        return self._resolved[name].to(own)

    def loss(self, batch_inputs: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        kind = annotation_kind(batch_data_samples)
        x = self.extract_feat(batch_inputs)
        if self.sync_captions and 'caption' not in kind:  # other ranks may be gathering
            width = self.roi_head.bbox_head[0].fc_cls.linear.out_features
            gather_rows(x[0].new_zeros(0, width, dtype=torch.float32))
        losses = (
            self._box_loss(x, batch_data_samples)
            if kind == 'box'
            else self._weak_loss(kind, x, batch_data_samples)
        )
        # Ranks may hold different kinds of batch: every parameter takes part in each. The factor stands inside
        # the sum, or scalar parameters would share one gradient tensor that DDP writes to.
        losses['loss_zero'] = sum(p.sum() * 0 for p in self.parameters() if p.requires_grad)
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
        captions, first = (None, 0) if kind == 'image' else self._captions(metas, x[0].device)
        if hasattr(self.rpn_head, 'join_reductions'):  # other ranks may hold boxes
            self.rpn_head.join_reductions(x[0])
        return self.roi_head.weak_loss(x, proposals, metas, labels, classifier, captions, first)

    def _captions(self, metas: list[dict], device: torch.device) -> tuple[Tensor, int]:
        own = [torch.as_tensor(m['caption_embedding'], dtype=torch.float32) for m in metas]
        own = F.normalize(torch.stack(own).to(device), dim=1)
        return gather_rows(own) if self.sync_captions else (own, 0)

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


@MODELS.register_module()
class DeticDETR(VocabularySwap, DeformableDETR):
    """Detic's two-stage Deformable DETR, whose learned classifier can be tested on a choice of its classes.

    Args:
        vocabularies, vocabulary, class_names: See ``VocabularySwap``; a class is a column (``#ROW`` or
            ``#NAME``) of the model's own classifier.
    """

    kind = 'open_vocabulary'  #: the inferencer that runs it (`mmroad.inference.build`)

    def __init__(
        self,
        *args,
        vocabularies: dict | None = None,
        vocabulary: str | list[str] | dict[str, str] | None = None,
        class_names: str | list[str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.init_vocabularies(vocabularies, vocabulary, class_names)

    @property
    def _num_classes(self) -> int:
        return self.bbox_head.num_classes

    def predict(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list:
        """As mmdet's, each image on the vocabulary that its meta information names."""
        name = self.vocabulary_of(batch_data_samples)
        if name is not None and name not in self._resolved:
            places = self.places_of(name)
            if isinstance(places, str):  # embeddings are of no use, their names may be
                places = {n: f'#{n}' for n in self.class_names_of(name) or ()} or {places: places}
            self._resolved[name] = own_columns(places, self.bbox_head.num_classes, self.own_names())
        self.bbox_head.test_columns = None if name is None else self._resolved[name]
        return super().predict(batch_inputs, batch_data_samples, rescale)


def annotation_kind(samples: list) -> str:
    """The kind of annotation that all samples of a batch share."""
    kinds = {s.metainfo.get('ann_type', 'box') for s in samples}
    if len(kinds) != 1 or not kinds <= set(ANN_TYPES):
        raise ValueError(
            f'a batch must hold one kind of annotation of {ANN_TYPES}, this one holds {sorted(kinds)}'
        )
    return kinds.pop()


def gather_rows(own: Tensor) -> tuple[Tensor, int]:
    """The rows (k, dim) of all ranks, which may have different k, and the place of this rank's first."""
    world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    if world == 1:
        return own, 0
    counts = [own.new_zeros(1) for _ in range(world)]
    dist.all_gather(counts, own.new_tensor([float(len(own))]))
    counts = [int(c) for c in counts]
    padded = own.new_zeros(max(counts), own.shape[1])
    padded[: len(own)] = own
    parts = [torch.zeros_like(padded) for _ in range(world)]
    if len(padded):
        dist.all_gather(parts, padded)
    rank = dist.get_rank()
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]), sum(counts[:rank])
