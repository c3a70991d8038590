"""BDD100K semantic segmentation: 7000 training and 1000 validation images of 720x1280, 19 classes."""

_base_ = './loaders.py'
data_root = 'data/bdd100k/'
crop_size = (512, 1024)
load_labels = dict(type='LoadLabelMap', num_classes=19)
# shortest edges of 0.5 to 2 times the native 720, as the Cityscapes recipe has of its 1024
train_pipeline = [
    dict(type='LoadImageFromFile'),
    load_labels,
    dict(
        type='RandomChoiceResize',
        scales=[72 * s for s in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=4096,
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), load_labels, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
        type='BDD100KSemSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='BDD100KSemSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KSemSegMetric')
test_evaluator = val_evaluator
