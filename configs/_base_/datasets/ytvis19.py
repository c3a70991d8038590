"""YouTube-VIS 2019: 2238 training, 302 validation and 343 test videos, 40 classes; only the first have labels.

Testing writes result files. For scores, hold out training videos (mmroad data split-ytvis) and
name the two files it writes: ``train_dataloader.dataset.ann_file``, ``test_dataloader.dataset.ann_file`` with
``test_dataloader.dataset.data_prefix.img_path=train/JPEGImages``, and ``test_evaluator.ann_file``.
"""

data_root = 'data/ytvis_2019/'
train_pipeline = [
    dict(type='UniformRefFrameSample', num_ref_imgs=1, frame_range=20),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadTrackAnnotations', with_mask=True),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 360), (1333, 480)],
                resize_type='Resize',
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='PackVideoInputs'),
]


def _test_pipeline(height):
    resize = dict(type='Resize', scale=(1333, height), keep_ratio=True)
    return [
        dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrame'), resize]),
        dict(type='PackVideoInputs'),
    ]


test_pipeline, test_pipeline_480 = _test_pipeline(360), _test_pipeline(480)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='YTVISDataset',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='YTVISDataset',
        data_root=data_root,
        ann_file='valid.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(type='YTVISMetric', ann_file=data_root + 'valid.json')
