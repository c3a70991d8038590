"""BDD100K instance segmentation, one training scale (1x): 7000 and 1000 images of 720x1280, 8 classes."""

_base_ = ['bdd100k_det.py']


def _train(resize):
    return [
        dict(type='LoadImageFromFile'),
        dict(type='LoadInstances', drop_empty=True),
        resize,
        dict(type='RandomFlip', prob=0.5),
        dict(type='FastPackDetInputs'),
    ]


def _data(split, pipeline, **kwargs):
    return dict(
        _delete_=True,
        type='BDD100KInsSegDataset',
        data_root=_base_.data_root,
        data_prefix=dict(img=f'images/10k/{split}/', bitmask=f'labels/ins_seg/bitmasks/{split}/'),
        pipeline=pipeline,
        **kwargs,
    )


train_pipeline = _train(dict(type='Resize', scale=_base_.image_size, keep_ratio=True))
train_pipeline_ms = _train(
    dict(
        type='RandomChoiceResize',
        scales=[(1280, rows) for rows in (600, 624, 648, 672, 696, 720)],
        keep_ratio=True,
    )
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=_base_.image_size, keep_ratio=True),
    dict(
        type='FastPackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'truth'),
    ),
]
train_dataloader = dict(batch_size=2, batch_sampler=None, dataset=_data('train', train_pipeline))
val_dataloader = dict(dataset=_data('val', test_pipeline, test_mode=True))
test_dataloader = val_dataloader
train_ms = dict(dataset=dict(pipeline=train_pipeline_ms))
val_evaluator = dict(_delete_=True, type='BDD100KInsSegMetric')
test_evaluator = val_evaluator
