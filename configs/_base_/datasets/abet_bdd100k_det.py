"""BDD100K by VOS's protocol, 16 images at a time; ``ood_test_*`` adds COCO and OpenImages.

data/ood/{coco,openimages}_bdd100k.json: mmroad data ood-subset
"""

_base_ = ['./loaders.py', './abet_det_augmentation.py']
data_root = 'data/bdd100k/'
train_dataloader = dict(
    batch_size=16,
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='BDD100KDetDataset',
        data_root=data_root,
        ann_file='labels/det_20/det_train.json',
        data_prefix=dict(img='images/100k/train/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=_base_.train_pipeline,
    ),
)
test_pipeline = [
    dict(type='FastPackDetInputs') if t['type'] == 'PackDetInputs' else t for t in _base_.test_pipeline
]
val_dataset = dict(
    type='BDD100KDetDataset',
    data_root=data_root,
    ann_file='labels/det_20/det_val.json',
    data_prefix=dict(img='images/100k/val/'),
    test_mode=True,
    pipeline=test_pipeline,
)
val_dataloader = dict(drop_last=False, dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KDetMetric', of_dataset=True)
test_evaluator = val_evaluator
_ood = dict(type='CocoDataset', test_mode=True, pipeline=test_pipeline)
ood_test_dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    ignore_keys=['dataset_type', 'classes', 'palette'],
    datasets=[
        val_dataset,
        dict(**_ood, ann_file='data/ood/coco_bdd100k.json', data_prefix=dict(img='data/coco/val2017/')),
        dict(
            **_ood,
            ann_file='data/ood/openimages_bdd100k.json',
            data_prefix=dict(img='data/openimages/validation/'),
        ),
    ],
)
ood_test_evaluator = dict(
    _delete_=True,
    type='OODDetectionMetric',
    ood_prefixes=dict(coco='data/coco/val2017', openimages='data/openimages/validation'),
)
