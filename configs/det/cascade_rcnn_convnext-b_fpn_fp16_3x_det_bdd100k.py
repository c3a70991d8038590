"""Cascade R-CNN, ConvNeXt-B FPN, 3x schedule, mixed precision."""

_base_ = [
    '../_base_/models/cascade_rcnn.py',
    '../_base_/backbones/convnext.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
custom_imports = _base_.convnext_imports
model = dict(
    backbone=dict(_base_.convnext_b_21k, drop_path_rate=0.4),
    neck=dict(in_channels=_base_.convnext_b_channels),
)
optim_wrapper = _base_.adamw_convnext
param_scheduler = _base_.late_3x
