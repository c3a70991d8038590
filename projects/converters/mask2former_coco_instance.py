"""Mask2Former's COCO instance checkpoints, as the start of training video models.

The classes differ, so the class layer and the ranking are the built model's own.
"""

from . import DERIVED
from .mask2former_video import RULES as VIDEO_RULES
from .mask2former_video import prepare

RULES = [(r'\.predictor\.class_embed\.', None), *VIDEO_RULES]
SUPPLIED = (*DERIVED, r'^track_head\.cls_embed\.', r'^track_head\.rank_seg\.')

__all__ = ['RULES', 'SUPPLIED', 'prepare']
