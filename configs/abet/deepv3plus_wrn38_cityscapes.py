"""DeepLabV3+ WideResNet38 on Cityscapes' standard split, the baseline's second stage."""

_base_ = [
    '../_base_/models/deepv3plus_wrn38.py',
    '../_base_/datasets/abet_cityscapes.py',
    '../_base_/schedules/abet_stage2.py',
]
custom_hooks = [
    dict(_base_.snapshot_transfer, checkpoint='weights/deepv3plus_wrn38_mapillary.pth'),
    *_base_.stage_hooks,
]
