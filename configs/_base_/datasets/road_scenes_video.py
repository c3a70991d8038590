"""The synthetic road scenes in motion (make_road_scenes.py --videos N) in VSPW's layout, 19 classes."""
data_root = 'data/road_scenes/videos/'
train_pipeline = [
    dict(type='UniformRefFrameSample', num_ref_imgs=1, frame_range=20),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVideoLabels'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='LabelsToInstances')
        ]),
    dict(type='PackTrackInputs')
]
test_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrame'), dict(type='LoadVideoLabels')]),
    dict(type='PackVideoInputs')
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='RoadScenesVideoDataset',
        data_root=data_root,
        ann_file='train.txt',
        data_prefix=dict(img_path='data'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='RoadScenesVideoDataset',
        data_root=data_root,
        ann_file='val.txt',
        data_prefix=dict(img_path='data'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoSemSegMetric')
test_evaluator = val_evaluator
