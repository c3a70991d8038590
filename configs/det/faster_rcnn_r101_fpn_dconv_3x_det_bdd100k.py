"""Faster R-CNN, ResNet-101 with deformable convolutions, FPN, 3x schedule."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/det_runtime.py',
]
model = dict(backbone=_base_.r101_dconv)
