"""The track head alone, on a detector that stays as it is, from still images: two views of one are a pair."""

_base_ = ['qdtrack-frcnn_r18_fpn_road_scenes.py']
model = dict(
    freeze_detector=True,
    detector=dict(
        init_cfg=dict(
            type='Pretrained',
            prefix='detector.',
            checkpoint='work_dirs/qdtrack-frcnn_r18_fpn_road_scenes/epoch_4.pth',
        )
    ),
)
train_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadTrackAnnotations'),
            dict(type='RandomResize', scale=_base_.image_size, ratio_range=(0.5, 1.0), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='Pad', size=_base_.image_size),
        ],
    ),
    dict(type='PackTrackInputs'),
]
train_dataloader = dict(
    dataset=dict(_delete_=True, **dict(_base_.train_dataloader.dataset.datasets[1], pipeline=train_pipeline))
)
