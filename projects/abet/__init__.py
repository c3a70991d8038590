"""AbeT: segmentation with a learned temperature (import ``mmroad.abet.det`` for detection)."""

from .deepv3plus_head import DeepWV3PlusHead
from .losses import ImageWeightedLoss, JointWeightedBorderLoss
from .temperature import LearnedTemperature
from .wide_resnet38 import WideResNet38

__all__ = [
    'DeepWV3PlusHead',
    'ImageWeightedLoss',
    'JointWeightedBorderLoss',
    'LearnedTemperature',
    'WideResNet38',
]
