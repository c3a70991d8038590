"""RbA (Rejected by All, https://arxiv.org/abs/2211.14293): anomaly segmentation on Mask2Former.

Importing this registers everything that the configs below configs/rba name.
"""

from .. import mask2former  # noqa: F401
from ..anomaly import register  # noqa: F401
from ..bdd100k import sem_seg  # noqa: F401
from .head import RbAHead
from .losses import (
    DenseHybridLoss,
    GamblerLoss,
    MaskContrastiveLoss,
    OutlierLoss,
    SmoothnessLoss,
    SparsityLoss,
)
from .mask2anomaly import Mask2AnomalyHead
from .outliers import LoadMapillaryAsCityscapes, MapillaryCityscapesDataset, PasteNegatives, PasteOutlier
from .segmentor import MaskAnomalySegmentor

__all__ = [
    'DenseHybridLoss',
    'GamblerLoss',
    'LoadMapillaryAsCityscapes',
    'MapillaryCityscapesDataset',
    'Mask2AnomalyHead',
    'MaskAnomalySegmentor',
    'MaskContrastiveLoss',
    'OutlierLoss',
    'PasteNegatives',
    'PasteOutlier',
    'RbAHead',
    'SmoothnessLoss',
    'SparsityLoss',
]
