"""Boxes of LVIS and COCO, CenterNet2 ConvNeXt-T."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/backbones/detic.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
model = dict(backbone=_base_.convnext_t, neck=dict(in_channels=_base_.convnext_t_channels))
custom_imports = dict(imports=['mmroad.detic', 'mmroad.detic.convnext', 'mmroad.bdd100k.det'])
train_dataloader = dict(batch_size=4, dataset=dict(_base_.lvis_coco, pipeline=_base_.box_640))
optim_wrapper = _base_.lr_1e4
train_cfg = _base_.loop_180k
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = _base_.s_180k
load_from = 'data/pretrained/convnext_tiny_22k_224.pth'
