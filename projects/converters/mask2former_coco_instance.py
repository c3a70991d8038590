"""Mask2Former's COCO instance checkpoints (detectron2), as the start of training video models.

The classes differ, so the class layer and the ranking are the built model's own.
"""

from . import DERIVED
from .mask2former import RULES as MASK2FORMER
from .mask2former import fit, prepare

RULES = [(r'\.predictor\.class_embed\.', None), *MASK2FORMER]
SUPPLIED = (*DERIVED, r'^track_head\.cls_embed\.', r'^track_head\.rank_seg\.')

__all__ = ['RULES', 'SUPPLIED', 'fit', 'prepare']
