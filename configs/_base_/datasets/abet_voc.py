"""VOC 2007 and 2012 to COCO, 4 images at a time; tested by both OOD protocols.

data/ood/coco_voc.json: mmroad data ood-subset coco ... --known voc; ``vos_*`` and ``fmiyc_*``: docs/ood_detection.md
"""

_base_ = ['./loaders.py', './abet_det_augmentation.py']
voc = dict(type='VOCDataset', data_root='data/VOCdevkit/')
train_dataloader = dict(
    batch_size=4,
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['dataset_type'],
        datasets=[
            dict(
                **voc,
                ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root=f'VOC{year}/'),
                filter_cfg=dict(filter_empty_gt=True),
                pipeline=_base_.train_pipeline,
            )
            for year in (2007, 2012)
        ],
    ),
)
voc_test = dict(
    **voc,
    ann_file='VOC2007/ImageSets/Main/test.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
    test_mode=True,
    pipeline=_base_.test_pipeline,
)
val_dataloader = dict(drop_last=False, dataset=voc_test)
_ood = dict(type='CocoDataset', test_mode=True, pipeline=_base_.test_pipeline)
_coco = dict(**_ood, ann_file='data/ood/coco_voc.json', data_prefix=dict(img='data/coco/val2017/'))
_joined = dict(_delete_=True, type='ConcatDataset', ignore_keys=['dataset_type', 'classes', 'palette'])
test_dataloader = dict(drop_last=False, dataset=dict(**_joined, datasets=[voc_test, _coco]))
val_evaluator = dict(type='VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = dict(type='OODDetectionMetric', ood_prefixes=dict(coco='data/coco/val2017'))
_openimages = 'data/openimages/id_voc_ood_openimages/ood_classes_rm_overlap/'
vos_test_dataset = dict(
    **_joined,
    datasets=[
        voc_test,
        dict(_coco, ann_file='data/coco/annotations/instances_val2017_ood_rm_overlap.json'),
        dict(
            **_ood,
            ann_file=_openimages + 'COCO-Format/val_coco_format.json',
            data_prefix=dict(img=_openimages + 'images/'),
        ),
    ],
)
vos_test_evaluator = dict(
    _delete_=True,
    type='OODDetectionMetric',
    ood_prefixes=dict(coco='data/coco/val2017', openimages=_openimages + 'images'),
)
_splits = ('near', 'far')
fmiyc_test_dataset = dict(
    **_joined,
    datasets=[
        voc_test,
        *[
            dict(
                **_ood,
                ann_file=f'data/coco/annotations/{split}_coco_wrt_voc.json',
                data_prefix=dict(img=f'data/coco/{split}_images/'),
            )
            for split in _splits
        ],
        *[
            dict(
                **_ood,
                ann_file=f'{_openimages}COCO-Format/{split}_oi_wrt_voc.json',
                data_prefix=dict(img=f'{_openimages}{split}_images/'),
            )
            for split in _splits
        ],
    ],
)
fmiyc_test_evaluator = dict(
    _delete_=True,
    type='OODDetectionMetric',
    ood_prefixes=dict(
        **{f'coco_{split}': f'data/coco/{split}_images' for split in _splits},
        **{f'openimages_{split}': f'{_openimages}{split}_images' for split in _splits},
    ),
)
