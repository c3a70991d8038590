"""UPerNet, ViT-B, crops of 512x1024, 80k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/backbones/seg_transformers.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_80k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(
    backbone=_base_.vit_b,
    neck=_base_.vit_b_neck,
    decode_head=dict(_base_.uper, in_channels=_base_.vit_b_neck.in_channels, **_base_.classes),
    auxiliary_head=dict(in_channels=768, in_index=3, **_base_.classes),
)
optim_wrapper = _base_.adamw_vit
param_scheduler = _base_.warmed
