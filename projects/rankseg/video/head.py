"""Mask2Former's head for video, with the published losses, and RankSeg on it."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.models.tracking_heads import Mask2FormerTrackHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ...mask2former.head import PublishedTraining
from ..mixin import CLASSES_KEY, RankSegMixin
from ..rank import present_classes


@MODELS.register_module()
class VideoMask2FormerHead(PublishedTraining, Mask2FormerTrackHead):
    """mmdet's track head with the published mask loss and initialization.

    One query is one track: its mask covers all frames of a clip. The mask loss is the sum over frames of the
    mean over points, divided by the number of masks (https://arxiv.org/abs/2112.10764, its code); mmdet's is
    that times the number of frames.
    """

    def _loss_by_feat_single(self, *args) -> tuple[Tensor, Tensor, Tensor]:
        loss_cls, loss_mask, loss_dice = super()._loss_by_feat_single(*args)
        return loss_cls, loss_mask / self.num_frames, loss_dice

    def predict_queries(self, x: list[Tensor], frames: Sequence[DetDataSample]) -> tuple[Tensor, Tensor]:
        """Class logits (Q, C + 1) and mask logits (Q, T, H/4, W/4) of the last layer for one clip, float32.

        Args:
            x: Backbone features of the clip's T frames, each (T, C, H, W).
            frames: The frames' samples; only oracle mode reads them.
        """
        class_logits, mask_logits = self(x, [frames])
        return class_logits[-1][0].float(), mask_logits[-1][0].float()


@MODELS.register_module()
class RankSegVideoHead(RankSegMixin, VideoMask2FormerHead):
    """`VideoMask2FormerHead` with category ranking: one ranking of the classes for a clip."""

    def sample_metas(self, batch_data_samples: Sequence[Sequence[DetDataSample]]) -> list[dict]:
        """A clip's metainfo: its first frame's, with the classes of all of its frames."""
        metas = []
        for frames in batch_data_samples:
            meta = dict(frames[0].metainfo)
            if CLASSES_KEY in meta:
                meta[CLASSES_KEY] = sorted(set().union(*(frame.metainfo[CLASSES_KEY] for frame in frames)))
            metas.append(meta)
        return metas

    def target_classes(self, instances: list[InstanceData], metas: list[dict]) -> Tensor:
        """The multi-label targets (B, C) bool: the classes of all frames that were sampled."""
        return present_classes([gt.labels for gt in instances], self.num_classes)
