"""The synthetic road scenes for segmentation: 800 iterations of 8 crops, minutes on two cores."""
_base_ = ['../../_base_/datasets/road_scenes_sem_seg.py', '../../_base_/runtime_sem_seg.py']
max_iters = 800
train_pipeline = [
    dict(type='LoadImageFromFile'),
    _base_.load_labels,
    dict(type='CentroidCrop', size=(96, 160)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=50, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=max_iters))
