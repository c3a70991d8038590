"""Category ranking for heads that classify masks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .rank import present_classes

#: The key in a sample's metainfo under which `RecordClasses` keeps the classes of its ground truth.
CLASSES_KEY = 'gt_classes'


class CosineClassifier(nn.Module):
    """Cosines of features (..., D) with one weight vector a class: (..., C)."""

    def __init__(self, dims: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, dims))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        unit = [v / v.norm(dim=-1, keepdim=True) for v in (x.float(), self.weight.float())]
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(*unit)


class RankSegMixin:
    """Puts `RankSeg` on a Mask2Former head: ``class Head(RankSegMixin, Mask2FormerHead)``.

    Works with the heads that call ``_forward_head(query_feat, ...)`` before the first and after every
    decoder layer, with queries that are not normalized yet: mmdet's and mmseg's ``Mask2FormerHead``, and
    mmdet's ``Mask2FormerTrackHead``. The queries after decoder layer ``rank_layer`` rank the classes.

    ``forward`` returns class logits in which the ranking is done, of all layers; ``ml_logits`` and
    ``rank_index`` hold the last pass's multi-label logits (B, C) and ranking (B, K). In oracle mode the last
    layer's logits of absent classes are -100; in prediction the present ones come from ``gt_classes`` in the
    samples' metainfo (see `RecordClasses`), which nothing else reads there.

    Args:
        rank_seg: Arguments of `RankSeg`, without ``num_classes`` and ``in_channels``.
        rank_layer: The decoder layer, from 1; 0 takes the initial queries.
    """

    def __init__(self, *args: Any, rank_seg: dict, rank_layer: int = 3, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        layers, dims = self.num_transformer_decoder_layers, self.query_feat.embedding_dim
        fixed = dict(num_classes=self.num_classes, in_channels=dims)
        self.rank_seg = MODELS.build(dict(type='RankSeg', **fixed, **rank_seg))
        self.rank_layer = rank_layer
        if not self.rank_seg.oracle:
            if not 0 <= rank_layer <= layers:
                raise ValueError(f'rank_layer is {rank_layer}, but the decoder has {layers} layers')
            self.cls_embed = CosineClassifier(dims, self.num_classes + 1)
        self.ml_logits: Tensor | None = None
        self.rank_index: Tensor | None = None

    def _forward_head(self, decoder_out: Tensor, *args: Any, **kwargs: Any) -> tuple:
        self._queries.append(decoder_out)
        return super()._forward_head(decoder_out, *args, **kwargs)

    def forward(self, x: list[Tensor], batch_data_samples: Any) -> tuple[list[Tensor], list[Tensor]]:
        """As the head's; see the class."""
        self._queries: list[Tensor] = []
        class_logits, mask_logits = super().forward(x, batch_data_samples)
        queries, self._queries = self._queries, []
        if self.rank_seg.oracle:
            if not self.training:  # in training, loss_by_feat does it
                class_logits = self._rule_out(class_logits, self.recorded_classes(batch_data_samples))
            return class_logits, mask_logits
        self.ml_logits = self.rank_seg(queries[self.rank_layer])
        self.rank_index = self.rank_seg.rank(self.ml_logits)
        return [self.rank_seg.rerank(logits, self.rank_index) for logits in class_logits], mask_logits

    def _rule_out(self, class_logits: list[Tensor], present: Tensor) -> list[Tensor]:
        return [*class_logits[:-1], self.rank_seg.rule_out(class_logits[-1], present)]

    @property
    def ranking(self) -> Tensor | None:
        """All classes by multi-label logit, best first, (B, C), of the last pass; None in oracle mode."""
        if self.ml_logits is None:
            return None
        return self.ml_logits.argsort(dim=1, descending=True, stable=True)

    def sample_metas(self, batch_data_samples: Any) -> list[dict]:
        """The metainfo of each element of the batch."""
        return [sample.metainfo for sample in batch_data_samples]

    def recorded_classes(self, batch_data_samples: Any) -> Tensor:
        """The recorded classes (B, C) bool that oracle mode needs in prediction.

        Raises:
            ValueError: A sample has none, or others than the head's.
        """
        device, labels = self.query_feat.weight.device, []
        for meta in self.sample_metas(batch_data_samples):
            if CLASSES_KEY not in meta:
                raise ValueError(
                    f'{meta.get("img_path", "an image")}: oracle mode needs the classes of the ground truth, '
                    f'metainfo {CLASSES_KEY!r}: put RecordClasses after the loading of annotations and '
                    f'{CLASSES_KEY!r} among the meta_keys of the packing'
                )
            labels.append(torch.as_tensor(self._known(meta), dtype=torch.long, device=device))
        return present_classes(labels, self.num_classes)

    def _known(self, meta: dict) -> list[int]:
        """A sample's recorded classes, which must be the head's."""
        if other := [label for label in meta[CLASSES_KEY] if not 0 <= label < self.num_classes]:
            raise ValueError(
                f'{meta.get("img_path", "an image")}: {CLASSES_KEY} has {", ".join(map(str, other[:5]))}, but the head '
                f'has {self.num_classes} classes: num_classes or the label map is of another data set'
            )
        return meta[CLASSES_KEY]

    def target_classes(self, instances: list[InstanceData], metas: list[dict]) -> Tensor:
        """The multi-label targets (B, C) bool: recorded classes where there are any, else the targets'."""
        labels = [
            gt.labels.new_tensor(self._known(meta)) if CLASSES_KEY in meta else gt.labels
            for gt, meta in zip(instances, metas, strict=True)
        ]
        return present_classes(labels, self.num_classes)

    def loss_by_feat(
        self,
        all_cls_scores: list[Tensor],
        all_mask_preds: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
    ) -> dict[str, Tensor]:
        """The head's losses and ``loss_ml``; targets of classes outside the K best are left out of the
        former, and of the number of masks they are divided by."""
        present = self.target_classes(batch_gt_instances, batch_img_metas)
        if self.rank_seg.oracle:
            logits = self._rule_out(all_cls_scores, present)
            return super().loss_by_feat(logits, all_mask_preds, batch_gt_instances, batch_img_metas)
        loss = self.rank_seg.loss(self.ml_logits, present)
        kept = self.rank_seg.selected(self.rank_index)
        instances = [gt[rows[gt.labels]] for gt, rows in zip(batch_gt_instances, kept, strict=True)]
        losses = super().loss_by_feat(all_cls_scores, all_mask_preds, instances, batch_img_metas)
        return {**losses, 'loss_ml': loss}
