"""What mmroad changes in mmcv, mmdet and mmseg, once, when a config imports it: broken images are named, no resize goes
below one pixel, and compiled operators take any memory layout and precision."""

from ..files import loading
from .speed.operators import guard_operators

__all__ = ['loading']

guard_operators()
