"""The synthetic road scenes for detection; ``ood_test_*`` adds unknown objects."""

_base_ = ['./loaders.py']
data_root = 'data/road_scenes/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='FastPackDetInputs',
        meta_keys=('img_id', 'img_path', 'file_name', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=dict(
        type='BDD100KDetDataset',
        data_root=data_root,
        ann_file='labels/det_20/det_train.json',
        data_prefix=dict(img='images/100k/train/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataset = dict(
    type='BDD100KDetDataset',
    data_root=data_root,
    ann_file='labels/det_20/det_val.json',
    data_prefix=dict(img='images/100k/val/'),
    test_mode=True,
    pipeline=test_pipeline,
)
val_dataloader = dict(num_workers=2, drop_last=False, dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KDetMetric', of_dataset=True)
test_evaluator = val_evaluator
ood_test_dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    datasets=[
        val_dataset,
        dict(
            type='BDD100KDetDataset',
            data_root=data_root,
            data_prefix=dict(img='ood/val/images/'),
            test_mode=True,
            pipeline=test_pipeline,
        ),
    ],
)
# the scenes hold known objects too: only detections on the unknown ones count as OOD
ood_test_evaluator = dict(
    _delete_=True,
    type='OODDetectionMetric',
    ood_prefixes=dict(unknown=data_root + 'ood/val/images'),
    mask_prefixes=dict(unknown=data_root + 'ood/val/masks'),
)
