"""DINO (https://arxiv.org/abs/2203.03605) of four scales, ten classes (ResNet-50); 1280x720, 12 epochs of 16 images."""

_base_ = [
    '../../_base_/backbones/resnet.py',
    '../../_base_/datasets/bdd100k_det.py',
    '../../_base_/schedules/det_1x.py',
    '../../_base_/det_runtime.py',
]

_attention = dict(embed_dims=256, num_levels=4, dropout=0.0)
_ffn = dict(embed_dims=256, feedforward_channels=2048)
model = dict(
    type='DINO',
    num_queries=900,
    with_box_refine=True,
    as_two_stage=True,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1,
    ),
    backbone=dict(_base_.r50, out_indices=(1, 2, 3), norm_cfg=dict(type='BN', requires_grad=False)),
    neck=dict(
        type='ChannelMapper',
        in_channels=[512, 1024, 2048],
        kernel_size=1,
        out_channels=256,
        act_cfg=None,
        norm_cfg=dict(type='GN', num_groups=32),
        num_outs=4,
    ),
    encoder=dict(num_layers=6, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
    decoder=dict(
        num_layers=6,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=256, num_heads=8), cross_attn_cfg=_attention, ffn_cfg=_ffn
        ),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats=128, normalize=True, temperature=20),
    bbox_head=dict(
        type='DINOHead', num_classes=10, sync_cls_avg_factor=True, loss_cls=dict(type='FocalLoss')
    ),
    dn_cfg=dict(group_cfg=dict(dynamic=True, num_dn_queries=100)),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='FocalLossCost', weight=2.0),
                dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='IoUCost', iou_mode='giou', weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=100),
)  # what the evaluator counts

_resize = dict(
    type='RandomChoiceResize', scales=[(1280, rows) for rows in range(480, 721, 24)], keep_ratio=True
)
_crop = [
    dict(type='RandomChoiceResize', scales=[(4200, rows) for rows in (400, 500, 600)], keep_ratio=True),
    dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomChoice', transforms=[[_resize], [*_crop, _resize]]),
            dict(type='FastPackDetInputs'),
        ],
    ),
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[11], gamma=0.1)]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
auto_scale_lr = dict(base_batch_size=16)
