"""Drawn shapes (mmroad data drawn-shapes), boxes alone by default."""

data_root = 'data/drawn_shapes/'


def _pipeline(scale_range):
    return [
        dict(type='LoadDeticImage'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='EfficientDetResizeCrop', size=96, scale_range=scale_range),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDeticInputs'),
    ]


_set = dict(type='DeticDataset', data_root=data_root, data_prefix=dict(img=''))
shapes_box = dict(_set, ann_file='train.json', pipeline=_pipeline((0.7, 1.4)))
shapes_weak = dict(_set, ann_file='weak.json', ann_type='image', pipeline=_pipeline((0.4, 1.0)))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DeticSampler', ratios=[1], repeat=[False]),
    batch_sampler=dict(type='DeticBatchSampler'),
    dataset=shapes_box,
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _set,
        ann_file='val.json',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(96, 96), keep_ratio=True, backend='pillow'),
            dict(type='PackDeticInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='OpenVocabularyMetric',
    protocol='lvis',
    ann_file=data_root + 'val.json',
    groups=dict(base='f', novel='r'),
)
test_evaluator = val_evaluator
