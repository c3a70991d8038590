"""RankSeg (https://arxiv.org/abs/2203.04187): segmentation among an image's or a video's best-ranked classes.

Importing this registers everything that the configs below configs/rankseg name.
"""

from ..bdd100k import sem_seg  # noqa: F401
from ..mask2former import ade20k  # noqa: F401
from .heads import RankSegPanopticHead, RankSegPixelMixin, RankSegSegmenterHead, RankSegSemSegHead
from .mixin import CosineClassifier, RankSegMixin
from .rank import MultiLabelHead, RankSeg, asymmetric_loss, present_classes
from .ranking_metrics import RankingMetric
from .transforms import RecordClasses

__all__ = [
    'CosineClassifier',
    'MultiLabelHead',
    'RankSeg',
    'RankSegMixin',
    'RankSegPanopticHead',
    'RankSegPixelMixin',
    'RankSegSegmenterHead',
    'RankSegSemSegHead',
    'RankingMetric',
    'RecordClasses',
    'asymmetric_loss',
    'present_classes',
]
