"""Cascade Mask R-CNN, ResNet-101 FPN, 3x schedule."""

_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/datasets/bdd100k_ins_seg.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/ins_seg_runtime.py',
]
model = dict(backbone=_base_.r101)
optim_wrapper = _base_.sgd_002
auto_scale_lr = _base_.batch_16
