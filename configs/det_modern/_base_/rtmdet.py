"""RTMDet-l (https://arxiv.org/abs/2212.07784), ten classes; 1280x736, 36 epochs of 32 images, mosaic in the first 24."""

_base_ = [
    '../../_base_/datasets/bdd100k_det.py',
    '../../_base_/schedules/det_3x.py',
    '../../_base_/det_runtime.py',
]

_norm = dict(norm_cfg=dict(type='SyncBN'), act_cfg=dict(type='SiLU', inplace=True))


def _weights(name):
    return dict(type='Pretrained', prefix='backbone.', checkpoint=f'imagenet://cspnext-{name}.pth')


model = dict(
    type='RTMDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        type='CSPNeXt',
        init_cfg=_weights('l_8xb256-rsb-a1-600e_in1k-6a760974'),
        **_norm,
    ),
    neck=dict(type='CSPNeXtPAFPN', in_channels=[256, 512, 1024], out_channels=256, **_norm),
    bbox_head=dict(
        type='RTMDetSepBNHead',
        num_classes=10,
        in_channels=256,
        stacked_convs=2,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=True,
        **_norm,
    ),
    train_cfg=dict(assigner=dict(type='DynamicSoftLabelAssigner'), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(
        nms_pre=30000,
        min_bbox_size=0,
        score_thr=0.001,
        nms=dict(type='nms', iou_threshold=0.65),
        max_per_img=100,
    ),
)
rtmdet_s = dict(
    backbone=dict(deepen_factor=0.33, widen_factor=0.5, init_cfg=_weights('s_imagenet_600e-ea671761')),
    neck=dict(in_channels=[128, 256, 512], out_channels=128, num_csp_blocks=1),
    bbox_head=dict(in_channels=128, feat_channels=128, exp_on_reg=False),
)
rtmdet_m = dict(
    backbone=dict(
        deepen_factor=0.67, widen_factor=0.75, init_cfg=_weights('m_8xb256-rsb-a1-600e_in1k-ecb3bbd9')
    ),
    neck=dict(in_channels=[192, 384, 768], out_channels=192, num_csp_blocks=2),
    bbox_head=dict(in_channels=192, feat_channels=192),
)

size = (1280, 736)
_pad = dict(type='Pad', size=size, pad_val=dict(img=(114, 114, 114)))
load_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]


def _scaled(scale):
    return [
        dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomCrop', crop_size=size),
        dict(type='YOLOXHSVRandomAug'),
        dict(type='RandomFlip', prob=0.5),
        _pad,
    ]


train_dataloader = dict(
    batch_size=4,
    batch_sampler=None,
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=load_pipeline),
        pipeline=[
            dict(type='Mosaic', img_scale=size, pad_val=114.0),
            *_scaled((2560, 1472)),
            dict(type='MixUp', img_scale=size, ratio_range=(1.0, 1.0), pad_val=114.0),
            dict(type='FastPackDetInputs'),
        ],
    ),
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1280, 720), keep_ratio=True),
    _pad,
    dict(type='FastPackDetInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True, priority=49),
    dict(
        type='StrongAugmentationOff',
        switch_epoch=24,
        pipeline=[*_scaled(size), dict(type='FastPackDetInputs')],
    ),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0005, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-5, by_epoch=False, begin=0, end=1000),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.000025,
        begin=18,
        end=36,
        T_max=18,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
