"""BDD100K detection, mosaic and mix-up, switched off for the last nine of 36 epochs."""

_base_ = ['bdd100k_det_ms.py']

strong_pipeline = [
    dict(type='Mosaic', img_scale=_base_.image_size, pad_val=114.0),
    dict(type='MixUp', img_scale=_base_.image_size, pad_val=114.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomResize', scale=_base_.image_size, ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=_base_.image_size, allow_negative_crop=True),
    dict(type='PhotoMetricDistortion'),
    dict(type='FastPackDetInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(
            type='BDD100KDetDataset',
            data_root=_base_.data_root,
            ann_file='labels/det_20/det_train.json',
            data_prefix=dict(img='images/100k/train/'),
            image_size=_base_.image_size,
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
        ),
        pipeline=strong_pipeline,
    )
)
custom_hooks = [dict(type='StrongAugmentationOff', switch_epoch=27, pipeline=_base_.train_pipeline[2:])]
