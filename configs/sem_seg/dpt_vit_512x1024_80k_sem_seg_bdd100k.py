"""DPT, ViT-B, crops of 512x1024, 80k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/backbones/seg_transformers.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_80k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(backbone=_base_.vit_dpt, decode_head=dict(_base_.dpt, **_base_.classes), auxiliary_head=None)
optim_wrapper = _base_.adamw_vit
param_scheduler = _base_.warmed
