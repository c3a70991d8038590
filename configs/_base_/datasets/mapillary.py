"""Mapillary Vistas 1.2: 18000 training and 2000 validation images, 65 classes (65 is unlabeled)."""

_base_ = './loaders.py'
data_root = 'data/mapillary/'
crop_size = (1024, 1024)
load_labels = dict(type='LoadLabelMap', num_classes=65, ignored=(65, 255))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    load_labels,
    dict(
        type='RandomChoiceResize',
        scales=[int(2048 * 0.1 * s) for s in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=8192,
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 2048), keep_ratio=True),
    load_labels,
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        type='MapillaryDataset_v1',
        data_root=data_root,
        data_prefix=dict(img_path='training/images', seg_map_path='training/v1.2/labels'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='MapillaryDataset_v1',
        data_root=data_root,
        data_prefix=dict(img_path='validation/images', seg_map_path='validation/v1.2/labels'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=65)
test_evaluator = val_evaluator
