"""The synthetic road scenes in motion (mmroad data road-scenes --videos N) in VSPW's layout, 19 classes."""

_base_ = 'vspw.py'
data_root = 'data/road_scenes/videos/'
_load = [dict(type='LoadFrame'), dict(type='LoadVideoLabels')]
train_pipeline = [
    dict(type='UniformRefFrameSample', num_ref_imgs=1, frame_range=20),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[*_load, dict(type='RandomFlip', prob=0.5), dict(type='LabelsToInstances')],
    ),
    dict(type='PackVideoInputs'),
]
test_pipeline = [dict(type='TransformBroadcaster', transforms=_load), dict(type='PackVideoInputs')]
_dataset = dict(type='RoadScenesVideoDataset', data_root=data_root)
train_dataloader = dict(num_workers=2, dataset=dict(_dataset, pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
