"""Panoptic FPN, ResNet-101 FPN, 5x schedule."""

_base_ = [
    '../_base_/models/panoptic_fpn.py',
    '../_base_/datasets/bdd100k_pan_seg.py',
    '../_base_/schedules/det_5x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/pan_seg_runtime.py',
]
model = dict(backbone=_base_.r101)
train_dataloader = _base_.train_ms
optim_wrapper = _base_.sgd_002
auto_scale_lr = _base_.batch_16
param_scheduler = _base_.pan_seg_5x
