"""ADE20K at 640x640 as Mask2Former's and RankSeg's Swin-B and Swin-L have it, with their multi-scale testing."""

_base_ = './ade20k.py'
crop_size = (640, 640)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    _base_.load_labels,
    dict(
        type='RandomChoiceResize',
        scales=[64 * s for s in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=2560,
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=dict(img=(128, 128, 128), seg=255)),
    dict(type='PackSegInputs'),
]
_resize = dict(type='Resize', scale=(2560, 640), keep_ratio=True)
test_pipeline = [dict(type='LoadImageFromFile'), _resize, _base_.load_labels, dict(type='PackSegInputs')]
# for the oracle: the classes of the ground truth go along
_meta_keys = (
    'img_path',
    'ori_shape',
    'img_shape',
    'img_padding_size',
    'flip',
    'flip_direction',
    'gt_classes',
)
oracle_pipeline = [
    dict(type='LoadImageFromFile'),
    _resize,
    _base_.load_labels,
    dict(type='RecordClasses'),
    dict(type='PackSegInputs', meta_keys=_meta_keys),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
# mIoU is mmseg's; published/mIoU that of the papers, which leave classes without ground truth out
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='PublishedIoUMetric')]
test_evaluator = val_evaluator
tta_model = dict(type='SemSegMeanTTAModel')
_views = [
    [
        dict(type='ResizeShortestEdge', scale=short, max_size=4480)
        for short in (320, 480, 640, 800, 960, 1120)
    ],
    [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
    [_base_.load_labels],
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[*_views, [dict(type='PackSegInputs')]]),
]
oracle_tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            *_views,
            [dict(type='RecordClasses')],
            [dict(type='PackSegInputs', meta_keys=_meta_keys)],
        ],
    ),
]
