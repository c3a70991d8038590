"""ADE20K's panoptic segmentation at 640x640: 100 things, 50 stuff classes; PQ, AP and mIoU from one run.

Files beside the images are made by Mask2Former's datasets/prepare_ade20k_{ins,pan}_seg.py.
"""

_base_ = './loaders.py'
data_root = 'data/ade/ADEChallengeData2016/'
crop_size = (640, 640)
_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
# the multi-label targets are the classes of the whole image, so they are recorded before the crop
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticMap'),
    dict(type='RecordClasses'),
    dict(
        type='RandomChoiceResize',
        scales=[64 * s for s in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=2560,
    ),
    dict(type='RandomCrop', crop_size=crop_size, allow_negative_crop=True),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=dict(img=(128, 128, 128), masks=0, seg=255)),
    dict(type='PackDetInputs', meta_keys=(*_meta_keys, 'gt_classes')),
]
_resize = dict(type='Resize', scale=(2560, 640), keep_ratio=True)
test_pipeline = [dict(type='LoadImageFromFile'), _resize, dict(type='PackDetInputs', meta_keys=_meta_keys)]
# for the oracle and for scores of rankings: the classes of the ground truth go along
oracle_pipeline = [
    dict(type='LoadImageFromFile'),
    _resize,
    dict(type='LoadPanopticMap'),
    dict(type='RecordClasses'),
    dict(type='PackDetInputs', meta_keys=(*_meta_keys, 'gt_classes')),
]
train_dataloader = dict(
    dataset=dict(
        type='ADE20KPanopticIdDataset',
        data_root=data_root,
        ann_file='ade20k_panoptic_train.json',
        data_prefix=dict(img='images/training/', seg='ade20k_panoptic_train/'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='ADE20KPanopticIdDataset',
        data_root=data_root,
        ann_file='ade20k_panoptic_val.json',
        data_prefix=dict(img='images/validation/', seg='ade20k_panoptic_val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='ADE20KPanopticMetric',
        ann_file=data_root + 'ade20k_panoptic_val.json',
        seg_prefix=data_root + 'ade20k_panoptic_val',
    ),
    dict(type='ADE20KInstanceMetric', ann_file=data_root + 'ade20k_instance_val.json', metric='segm'),
    dict(type='ADE20KPanopticIoUMetric', seg_prefix=data_root + 'annotations/validation'),
]
test_evaluator = val_evaluator
