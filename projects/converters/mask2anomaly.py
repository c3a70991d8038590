"""Mask2Anomaly's released model (shyam671/Mask2Anomaly-Unmasking-Anomalies-in-Road-Scene-Segmentation): Mask2Former's
keys and a second attention a layer. A layer that the published code builds and does not use stays out."""

from .mask2former import RULES as MASK2FORMER
from .mask2former import prepare

CONFIG = 'mask2anomaly_r50_9dl_ood_coco'

_LAYERS = r'\.predictor\.transformer_cross_attention_layers\.(\d+)\.'
RULES = [
    (_LAYERS + r'fusion_layer\.', None),
    (_LAYERS + r'multihead_attn_foreground\.', r'.L\1.cross_attn.attn.'),
    (_LAYERS + r'multihead_attn_background\.', r'.L\1.background_attn.attn.'),
    *MASK2FORMER,
]

__all__ = ['CONFIG', 'RULES', 'prepare']
