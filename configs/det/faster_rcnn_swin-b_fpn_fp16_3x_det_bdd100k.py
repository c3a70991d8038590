"""Faster R-CNN, Swin-B FPN, 3x schedule, mixed precision."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/backbones/swin.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
model = dict(backbone=_base_.swin_b_22k, neck=dict(in_channels=_base_.swin_b_channels))
optim_wrapper = _base_.adamw_swin_amp
param_scheduler = _base_.late_3x
train_dataloader = _base_.batch_2
auto_scale_lr = _base_.batch_16
