"""LVIS and ImageNet-LVIS image labels, two-stage Deformable DETR."""

_base_ = [
    '../_base_/models/detic_deform_detr.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
train_dataloader = dict(
    sampler=dict(ratios=[1, 4], repeat=[True, False]),
    batch_sampler=dict(batch_sizes=[4, 16]),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.lvis, pipeline=_base_.detr_box),
            dict(_base_.imagenet_lvis, pipeline=_base_.detr_weak),
        ],
    ),
)
val_evaluator = dict(iou_types=['bbox'])
test_evaluator = val_evaluator
optim_wrapper = _base_.adamw_detr
train_cfg = _base_.loop_180k
param_scheduler = _base_.detr_180k
auto_scale_lr = dict(base_batch_size=32)
load_from = 'data/detic/BoxSup-DeformDETR_L_R50_4x.pth'
