"""The quick start's detector on a few photographs of any sizes, learned by heart: proof that all parts fit yours.

``data/kitti_sample/`` holds ``images/`` and ``det_train.json`` (Scalabel); change ``data_root`` for others.
"""

_base_ = ['faster_rcnn_r18_fpn_quickstart.py']

data_root = 'data/kitti_sample/'
ann_file = 'det_train.json'
load = dict(type='LoadImageFromFile')
dataset = dict(
    type='BDD100KDetDataset', data_root=data_root, ann_file=ann_file, data_prefix=dict(img='images/')
)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=20,
        dataset=dict(
            **dataset,
            pipeline=[load, dict(type='LoadAnnotations', with_bbox=True), dict(type='FastPackDetInputs')],
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dataset,
        test_mode=True,
        pipeline=[load, dict(type='Resize', scale_factor=1.0), dict(type='FastPackDetInputs')],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + ann_file)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=5, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=5, T_max=5, convert_to_iter_based=True),
]
