"""Cityscapes fine annotations: 2975 training and 500 validation images of 1024x2048, 19 classes."""

_base_ = './loaders.py'
data_root = 'data/cityscapes/'
crop_size = (512, 1024)
load_labels = dict(type='LoadLabelMap', num_classes=19)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    load_labels,
    dict(
        type='RandomChoiceResize',
        scales=[int(1024 * 0.1 * s) for s in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=4096,
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), load_labels, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
