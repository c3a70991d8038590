"""VSPW at 480p: 2806 training, 343 validation and 387 test videos, 124 classes for every pixel."""

_base_ = './loaders.py'
data_root = 'data/VSPW_480p/'
train_pipeline = [
    dict(type='UniformRefFrameSample', num_ref_imgs=1, frame_range=20),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVideoLabels'),
            dict(type='Resize', scale=(1333, 480), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='LabelsToInstances'),
        ],
    ),
    dict(type='PackVideoInputs'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, 480), keep_ratio=True),
            dict(type='LoadVideoLabels'),
        ],
    ),
    dict(type='PackVideoInputs'),
]
train_dataloader = dict(
    dataset=dict(
        type='VSPWDataset',
        data_root=data_root,
        ann_file='train.txt',
        data_prefix=dict(img_path='data'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='VSPWDataset',
        data_root=data_root,
        ann_file='val.txt',
        data_prefix=dict(img_path='data'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoSemSegMetric')
test_evaluator = val_evaluator
