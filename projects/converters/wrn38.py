"""NVIDIA's ImageNet WideResNet38 (``wider_resnet38.pth.tar``): the trunk that Mapillary's stage starts from."""

from .abet import RULES

CONFIG = 'deepv3plus_wrn38_mapillary'
PREFIX = 'backbone.'

__all__ = ['CONFIG', 'PREFIX', 'RULES']
