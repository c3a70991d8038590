"""LVIS and ImageNet-LVIS image labels, Swin-B."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/backbones/detic.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
model = dict(
    backbone=_base_.swin_b,
    neck=dict(in_channels=_base_.swin_b_channels),
    roi_head=dict(image_loss='max_size'),
)
train_dataloader = dict(
    sampler=dict(ratios=[1, 4], repeat=[True, False]),
    batch_sampler=dict(batch_sizes=[4, 16]),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.lvis, pipeline=_base_.box_896),
            dict(_base_.imagenet_lvis, pipeline=_base_.weak_448),
        ],
    ),
)
optim_wrapper = _base_.lr_1e4
train_cfg = _base_.loop_180k
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = _base_.s_180k_ft
load_from = 'data/detic/BoxSup-C2_L_CLIP_SwinB_896b32_4x.pth'
