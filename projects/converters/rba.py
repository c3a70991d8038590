"""RbA's released models (NazirNayal8/RbA): Mask2Former's keys."""

from .mask2former import RULES, prepare

CONFIG = 'rba_swin_b_1dl_cityscapes'

__all__ = ['CONFIG', 'RULES', 'prepare']
