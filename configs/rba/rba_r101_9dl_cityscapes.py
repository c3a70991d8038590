"""RbA inlier model, ResNet-101, all nine decoder layers, Cityscapes."""

_base_ = './rba_r50_9dl_cityscapes.py'
model = dict(backbone=_base_.r101)
