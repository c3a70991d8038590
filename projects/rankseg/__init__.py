"""RankSeg (https://arxiv.org/abs/2203.04187): segmentation among an image's or a video's best-ranked classes.

Importing this registers everything that the configs below configs/rankseg name.
"""

from .mixin import CosineClassifier, RankSegMixin
from .rank import MultiLabelHead, RankSeg, asymmetric_loss, present_classes

__all__ = [
    'CosineClassifier',
    'MultiLabelHead',
    'RankSeg',
    'RankSegMixin',
    'asymmetric_loss',
    'present_classes',
]
