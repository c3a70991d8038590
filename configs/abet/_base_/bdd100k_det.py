"""BDD100K by VOS's protocol: 90k iterations of 16 images; ``ood_test_*`` adds COCO and OpenImages.

data/ood/{coco,openimages}_bdd100k.json: mmroad data ood-subset
"""
_base_ = ['./det_augmentation.py', './det_runtime.py']
data_root = 'data/bdd100k/'
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='BDD100KDetDataset',
        data_root=data_root,
        ann_file='labels/det_20/det_train.json',
        data_prefix=dict(img='images/100k/train/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=_base_.train_pipeline))
test_pipeline = [dict(type='FastPackDetInputs') if t['type'] == 'PackDetInputs' else t for t in _base_.test_pipeline]
val_dataset = dict(
    type='BDD100KDetDataset',
    data_root=data_root,
    ann_file='labels/det_20/det_val.json',
    data_prefix=dict(img='images/100k/val/'),
    test_mode=True,
    pipeline=test_pipeline)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='BDD100KDetMetric', of_dataset=True)
default_hooks = dict(setup=dict(type='DetSetupHook'))
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
            data_prefix=dict(img='data/openimages/validation/'))
    ])
ood_test_evaluator = dict(
    _delete_=True,
    type='OODDetectionMetric',
    ood_prefixes=dict(coco='data/coco/val2017', openimages='data/openimages/validation'))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=90000, val_interval=10000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=90000, milestones=[60000, 80000], gamma=0.1)
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
