"""Detic: open-vocabulary detection from image labels (Zhou et al., arXiv:2201.02605)."""

from ..runtime import frameworks  # noqa: F401
from .bbox_head import DeticBBoxHead
from .centernet_rpn import CenterNetRPNHead
from .check_vocabulary import VocabularyCheckHook
from .dataset import DeticDataset
from .detector import Detic, DeticDETR
from .detr_head import DeticDETRHead, FederatedFocalLoss
from .metric import OpenVocabularyMetric
from .roi_head import DeticRoIHead
from .sampler import DeticBatchSampler, DeticSampler
from .transforms import EfficientDetResizeCrop, LoadDeticAnnotations, PackDeticInputs
from .vocabulary import Vocabulary, load_vocabulary, save_vocabulary
from .zero_shot import BoxMLP, ZeroShotClassifier

__all__ = [
    'BoxMLP',
    'CenterNetRPNHead',
    'Detic',
    'DeticBBoxHead',
    'DeticBatchSampler',
    'DeticDETR',
    'DeticDETRHead',
    'DeticDataset',
    'DeticRoIHead',
    'DeticSampler',
    'EfficientDetResizeCrop',
    'FederatedFocalLoss',
    'LoadDeticAnnotations',
    'OpenVocabularyMetric',
    'PackDeticInputs',
    'Vocabulary',
    'VocabularyCheckHook',
    'ZeroShotClassifier',
    'load_vocabulary',
    'save_vocabulary',
]
