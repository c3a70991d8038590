"""RankSeg's models on Mask2Former (openseg-group/RankSeg): Mask2Former's keys and those of the ranking.

Rows by class follow a panoptic model's order of classes; ``ml_norm`` is by rank and stays as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from .mask2former import CLASS_ROWS, prepare
from .mask2former import RULES as MASK2FORMER
from .mask2former import fit as fit_mask2former

CONFIG = 'maskformer2_swin_base_IN21k_384_bs16_160k_res640-rankseg_ade20k_sem'

RULES = [(r'^ml_(head|norm)\.', r'decode_head.rank_seg.ml_\1.'), *MASK2FORMER]

RANKED_ROWS = {f'rank_seg.ml_head.{name}': 1 for name in ('cls_emb', 'fc.W', 'fc.b')}


def fit(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """As `mask2former.fit`, with the multi-label head's rows."""
    return fit_mask2former(state, model, CLASS_ROWS | RANKED_ROWS)


__all__ = ['CONFIG', 'RULES', 'fit', 'prepare']
