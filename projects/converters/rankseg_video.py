"""RankSeg's video models (openseg-group/RankSeg): video Mask2Former's keys."""

from .mask2former_video import RULES, prepare

CONFIG = 'video_maskformer2_R101_bs16_8ep-rankseg_ytvis2019'

__all__ = ['CONFIG', 'RULES', 'prepare']
