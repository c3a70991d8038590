"""LVIS without rare classes and tags of CC3M captions, ResNet-50."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
model = dict(roi_head=dict(image_loss='max_size'))
train_dataloader = dict(
    sampler=dict(ratios=[1, 4], repeat=[True, False]),
    batch_sampler=dict(batch_sizes=[8, 32]),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.lvis_norare, pipeline=_base_.box_640),
            dict(_base_.cc3m, pipeline=_base_.weak_320),
        ],
    ),
)
param_scheduler = _base_.r_90k_ft
val_evaluator = _base_.lvis_novel
test_evaluator = val_evaluator
load_from = 'data/detic/BoxSup-C2_Lbase_CLIP_R5021k_640b64_4x.pth'
