"""BDD100K box tracking: pairs of frames of videos, and images of det_20 as pairs of themselves."""

data_root = 'data/bdd100k/'
image_size = (1296, 720)

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
videos = dict(
    type='BDD100KTrackDataset',
    data_root=data_root,
    ann_file='labels/box_track_20/train',
    data_prefix=dict(img='images/track/train/'),
    frame_range=3,
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=train_pipeline,
)
images = dict(
    type='BDD100KTrackDataset',
    data_root=data_root,
    ann_file='labels/det_20/det_train.json',
    data_prefix=dict(img='images/100k/train/'),
    load_as_video=False,
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='TrackFrameSampler'),
    dataset=dict(type='ConcatDataset', datasets=[videos, images]),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='TrackFrameSampler'),
    dataset=dict(
        type='BDD100KTrackDataset',
        data_root=data_root,
        ann_file='labels/box_track_20/val',
        data_prefix=dict(img='images/track/val/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KTrackMetric', of_dataset=True)
test_evaluator = val_evaluator
