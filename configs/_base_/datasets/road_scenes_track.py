"""The synthetic road scenes with tracks (mmroad data road-scenes --tracks 30 --frames 40 --stride 2)."""

_base_ = ['bdd100k_track.py']

data_root = 'data/road_scenes/'
image_size = (320, 192)
train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadTrackAnnotations'),
            dict(type='Resize', scale=image_size, keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='PackTrackInputs'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=image_size, keep_ratio=True)],
    ),
    dict(type='PackTrackInputs', meta_keys=('file_name', 'video_name', 'frame_index')),
]
videos = dict(data_root=data_root, pipeline=train_pipeline)
images = dict(data_root=data_root, pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(datasets=[dict(_base_.videos, **videos), dict(_base_.images, **images)]),
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
