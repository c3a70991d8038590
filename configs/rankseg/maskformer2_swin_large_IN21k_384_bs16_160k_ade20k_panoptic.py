"""Mask2Former, Swin-L, 200 queries, ADE20K panoptic segmentation."""

_base_ = [
    '../_base_/models/mask2former_panoptic.py',
    '../_base_/datasets/ade20k_panoptic.py',
    '../_base_/schedules/mask2former_160k.py',
    '../_base_/runtime_panoptic.py',
]
custom_imports = dict(imports=['mmroad.rankseg'], allow_failed_imports=False)
model = dict(backbone=_base_.swin_l, panoptic_head=dict(in_channels=_base_.swin_l_channels))
