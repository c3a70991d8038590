"""Open-vocabulary COCO with tags of captions, ResNet-50 C4."""

_base_ = [
    '../_base_/models/detic_c4.py',
    '../_base_/datasets/detic_ovcoco.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
model = dict(roi_head=dict(image_loss='max_size', num_weak_proposals=32))
train_dataloader = dict(
    sampler=dict(ratios=[1, 4], repeat=[False, False]),
    batch_sampler=dict(batch_sizes=[2, 8]),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.coco_base, pipeline=_base_.c4_box),
            dict(_base_.coco_tags, pipeline=_base_.c4_weak),
        ],
    ),
)
optim_wrapper = _base_.sgd
param_scheduler = _base_.sgd_90k
auto_scale_lr = dict(base_batch_size=16)
load_from = 'data/detic/BoxSup_OVCOCO_CLIP_R50_1x.pth'
