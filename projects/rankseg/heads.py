"""Heads that rank classes: semantic, panoptic, and pixel by pixel."""

from __future__ import annotations

import torch.nn.functional as F
from mmdet.registry import MODELS as DET_MODELS
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.models.decode_heads import SegmenterMaskTransformerHead
from mmseg.registry import MODELS as SEG_MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..mask2former import Mask2FormerPanopticHead, Mask2FormerSemSegHead
from ..mask2former.head import IGNORED, OUTLIER, sample_labels
from .mixin import RankSegMixin
from .rank import present_classes


@SEG_MODELS.register_module()
class RankSegSemSegHead(RankSegMixin, Mask2FormerSemSegHead):
    """Mask2Former for semantic segmentation with category ranking."""


@DET_MODELS.register_module()
class RankSegPanopticHead(RankSegMixin, Mask2FormerPanopticHead):
    """Mask2Former for panoptic segmentation with category ranking."""


class RankSegPixelMixin:
    """Puts `RankSeg` on a head of mmseg that classifies pixels: ``class Head(RankSegPixelMixin, FCNHead)``.

    The K best classes of an image are ranked from its features, pooled to ``pool`` x ``pool`` tokens (as
    published for Segmenter, 8). Each pixel's logits of these are normalized over ranks; pixels of other
    classes are ignored in training, and get -100 for them in prediction.

    Args:
        rank_seg: Arguments of `RankSeg`, without ``num_classes``, ``in_channels`` and ``no_object``; K is 50
            in the published models (25 for Pascal-Context).
        pool: Tokens down and across; None takes the features as they are.
    """

    def __init__(self, *args, rank_seg: dict, pool: int | None = 8, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        fixed = dict(num_classes=self.num_classes, in_channels=self.in_channels, no_object=False)
        self.rank_seg = MODELS.build(dict(type='RankSeg', **fixed, **rank_seg))
        if self.rank_seg.oracle:
            raise ValueError('oracle mode is for heads that classify masks')
        self.pool = pool
        self.ml_logits: Tensor | None = None
        self.rank_index: Tensor | None = None

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Features to ranked class logits (B, C, h, w)."""
        tokens = self._transform_inputs(inputs)
        if self.pool is not None:
            tokens = F.adaptive_avg_pool2d(tokens, self.pool)
        self.ml_logits = self.rank_seg(tokens.flatten(2).transpose(1, 2))
        self.rank_index = self.rank_seg.rank(self.ml_logits)
        logits = super().forward(inputs)
        ranked = self.rank_seg.rerank(logits.flatten(2).transpose(1, 2), self.rank_index)
        return ranked.transpose(1, 2).unflatten(2, logits.shape[2:])

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """The head's losses over pixels of the K best classes, and ``loss_ml``."""
        ignored = {OUTLIER, IGNORED, self.ignore_index}
        read = [sample_labels(sample, self.num_classes, ignored) for sample in batch_data_samples]
        labels, present = [x[None] for x, _ in read], [classes for _, classes in read]
        present = present_classes(present, self.num_classes)
        kept = F.pad(self.rank_seg.selected(self.rank_index), (0, 1))  # the last slot: no class
        samples = []
        for sample, label, rows in zip(batch_data_samples, labels, kept, strict=True):
            label = label.where(rows[label.clamp(max=self.num_classes)], self.ignore_index)
            samples.append(SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=label)))
        return super().loss_by_feat(seg_logits, samples) | dict(
            loss_ml=self.rank_seg.loss(self.ml_logits, present)
        )

    @property
    def ranking(self) -> Tensor:
        """All classes by multi-label logit, best first, (B, C), of the last pass."""
        return self.ml_logits.argsort(dim=1, descending=True, stable=True)


@SEG_MODELS.register_module()
class RankSegSegmenterHead(RankSegPixelMixin, SegmenterMaskTransformerHead):
    """Segmenter's mask transformer with category ranking; the norm over ranks replaces that over classes."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.mask_norm = nn.Identity()

    def init_weights(self) -> None:
        ranking = {k: v.clone() for k, v in self.rank_seg.state_dict().items()}
        super().init_weights()  # draws every linear layer and norm below the head anew
        self.rank_seg.load_state_dict(ranking)
