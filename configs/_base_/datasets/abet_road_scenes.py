"""The synthetic road scenes for segmentation, in crops of 96x160."""

_base_ = ['./road_scenes_sem_seg.py']
train_pipeline = [
    dict(type='LoadImageFromFile'),
    _base_.load_labels,
    dict(type='CentroidCrop', size=(96, 160)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
