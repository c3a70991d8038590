"""EAM's and UNO's released models (matejgrcic/Open-set-M2F): Mask2Former's keys. The normalizing flow, which made
negatives in training, stays out."""

from .mask2former import RULES as MASK2FORMER
from .mask2former import prepare

CONFIG = 'uno_swin_l_9dl_ood_ade20k'

RULES = [(r'^flow\.', None), *MASK2FORMER]

__all__ = ['CONFIG', 'RULES', 'prepare']
