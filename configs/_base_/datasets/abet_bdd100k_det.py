"""BDD100K by VOS's protocol, 16 images at a time; ``ood_test_*`` adds COCO and OpenImages.

data/ood/{coco,openimages}_bdd100k.json: mmroad data ood-subset; ``vos_*`` and ``fmiyc_*``: docs/ood_detection.md
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
_coco = dict(**_ood, ann_file='data/ood/coco_bdd100k.json', data_prefix=dict(img='data/coco/val2017/'))
ood_test_dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    ignore_keys=['dataset_type', 'classes', 'palette'],
    datasets=[
        val_dataset,
        _coco,
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
_openimages = 'data/openimages/ood_classes_rm_overlap/'
vos_test_dataset = dict(
    ood_test_dataset,
    datasets=[
        val_dataset,
        dict(_coco, ann_file='data/coco/annotations/instances_val2017_ood_wrt_bdd_rm_overlap.json'),
        dict(
            **_ood,
            ann_file=_openimages + 'COCO-Format/val_coco_format.json',
            data_prefix=dict(img=_openimages + 'images/'),
        ),
    ],
)
vos_test_evaluator = dict(
    ood_test_evaluator, ood_prefixes=dict(coco='data/coco/val2017', openimages=_openimages + 'images')
)
fmiyc_test_dataset = dict(
    ood_test_dataset,
    datasets=[
        val_dataset,
        dict(
            **_ood,
            ann_file='data/coco/annotations/farther_coco_wrt_bdd.json',
            data_prefix=dict(img='data/coco/farther_images_wrt_bdd/'),
        ),
        dict(
            **_ood,
            ann_file=_openimages + 'COCO-Format/farther_oi_wrt_bdd.json',
            data_prefix=dict(img=_openimages + 'farther_images_wrt_bdd/'),
        ),
    ],
)
fmiyc_test_evaluator = dict(
    ood_test_evaluator,
    ood_prefixes=dict(
        coco_farther='data/coco/farther_images_wrt_bdd',
        openimages_farther=_openimages + 'farther_images_wrt_bdd',
    ),
)
