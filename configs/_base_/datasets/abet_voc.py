"""VOC 2007 and 2012 to COCO, 4 images at a time; tested by both OOD protocols.

data/ood/coco_voc.json: mmroad data ood-subset coco ... --known voc
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
test_dataloader = dict(
    drop_last=False,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['dataset_type', 'classes', 'palette'],
        datasets=[
            voc_test,
            dict(
                type='CocoDataset',
                ann_file='data/ood/coco_voc.json',
                data_prefix=dict(img='data/coco/val2017/'),
                test_mode=True,
                pipeline=_base_.test_pipeline,
            ),
        ],
    ),
)
val_evaluator = dict(type='VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = dict(type='OODDetectionMetric', ood_prefixes=dict(coco='data/coco/val2017'))
