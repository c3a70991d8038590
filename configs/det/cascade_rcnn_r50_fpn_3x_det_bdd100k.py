"""Cascade R-CNN, ResNet-50 FPN, 3x schedule."""

_base_ = [
    '../_base_/models/cascade_rcnn.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/det_runtime.py',
]
