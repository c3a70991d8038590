"""Faster R-CNN, ResNet-50 of "ResNet strikes back", FPN, 1x schedule."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/datasets/bdd100k_det.py',
    '../_base_/schedules/det_1x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
model = dict(backbone=_base_.rsb)
optim_wrapper = _base_.adamw_rsb
