"""VOC 2007 and 2012 to COCO: 18k iterations of 4 images; tested by both OOD protocols.

data/ood/coco_voc.json: mmroad data ood-subset coco ... --known voc
"""
_base_ = ['./det_augmentation.py', './det_runtime.py']
voc = dict(type='VOCDataset', data_root='data/VOCdevkit/')
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
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
                pipeline=_base_.train_pipeline) for year in (2007, 2012)
        ]))
voc_test = dict(
    **voc,
    ann_file='VOC2007/ImageSets/Main/test.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
    test_mode=True,
    pipeline=_base_.test_pipeline)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=voc_test)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['dataset_type', 'classes', 'palette'],
        datasets=[
            voc_test,
            dict(
                type='CocoDataset',
                ann_file='data/ood/coco_voc.json',
                data_prefix=dict(img='data/coco/val2017/'),
                test_mode=True,
                pipeline=_base_.test_pipeline)
        ]))
val_evaluator = dict(type='VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = dict(type='OODDetectionMetric', ood_prefixes=dict(coco='data/coco/val2017'))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=18000, val_interval=6000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=18000, milestones=[12000, 16000], gamma=0.1)
]
auto_scale_lr = dict(enable=False, base_batch_size=4)
