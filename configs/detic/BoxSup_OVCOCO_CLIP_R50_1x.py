"""Open-vocabulary COCO: boxes of the 48 base classes, ResNet-50 C4."""

_base_ = [
    '../_base_/models/detic_c4.py',
    '../_base_/datasets/detic_ovcoco.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
train_dataloader = dict(
    batch_size=2, sampler=dict(repeat=[False]), dataset=dict(_base_.coco_base, pipeline=_base_.c4_box)
)
optim_wrapper = _base_.sgd
param_scheduler = _base_.sgd_90k
auto_scale_lr = dict(base_batch_size=16)
