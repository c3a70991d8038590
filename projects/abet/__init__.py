"""AbeT: segmentation with a learned temperature (import ``mmroad.abet.det`` for detection)."""

from ..anomaly import register  # noqa: F401
from .class_uniform import ClassUniformDataset, ClassUniformSampler
from .datasets import CityscapesCitySplit, Mapillary65Dataset
from .deepv3plus_head import DeepWV3PlusHead
from .losses import ImageWeightedLoss, JointWeightedBorderLoss
from .schedules import BorderRelaxationHook, SclPolyLR, SnapshotTransferHook
from .segmentor import AbeTSegmentor
from .temperature import LearnedTemperature
from .transforms import CentroidCrop, RandomColorJitter, RandomGaussianBlur, RandomRescale
from .wide_resnet38 import WideResNet38

__all__ = [
    'AbeTSegmentor',
    'BorderRelaxationHook',
    'CentroidCrop',
    'CityscapesCitySplit',
    'ClassUniformDataset',
    'ClassUniformSampler',
    'DeepWV3PlusHead',
    'ImageWeightedLoss',
    'JointWeightedBorderLoss',
    'LearnedTemperature',
    'Mapillary65Dataset',
    'RandomColorJitter',
    'RandomGaussianBlur',
    'RandomRescale',
    'SclPolyLR',
    'SnapshotTransferHook',
    'WideResNet38',
]
