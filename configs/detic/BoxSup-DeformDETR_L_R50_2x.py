"""Boxes of LVIS, two-stage Deformable DETR, half the iterations."""

_base_ = [
    '../_base_/models/detic_deform_detr.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_base_.detr_box))
val_evaluator = dict(iou_types=['bbox'])
test_evaluator = val_evaluator
optim_wrapper = _base_.adamw_detr
train_cfg = dict(max_iters=90000)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=90000, milestones=[75000], gamma=0.1)
]
auto_scale_lr = dict(base_batch_size=32)
