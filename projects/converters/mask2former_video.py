"""Video models of Mask2Former and RankSeg (detectron2): the image models' keys, in a track head."""

from .mask2former import RULES as IMAGE_RULES
from .mask2former import prepare

RULES = [
    (r'^ml_(head|norm)\.', r'track_head.rank_seg.ml_\1.'),
    *IMAGE_RULES,
    (r'^decode_head\.', 'track_head.'),
]

__all__ = ['RULES', 'prepare']
