"""RbA inlier model, ResNet-101 with a stem of three 3x3 convolutions, all nine decoder layers."""

_base_ = './rba_r50_9dl_cityscapes.py'
model = dict(backbone=_base_.r101_3x3)
