"""Mask2Former for semantic segmentation (https://arxiv.org/abs/2112.01527).

``model`` has nine decoder layers over three feature levels and a ResNet-50; a leaf puts in one of the
named parts below: a backbone, and ``one_layer`` for RbA's form (one decoder layer over one level).
"""

num_classes = 19
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(512, 1024),
    test_cfg=dict(size_divisor=32),
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
    ),
    decode_head=dict(
        type='Mask2FormerSemSegHead',
        in_channels=[256, 512, 1024, 2048],
        feat_channels=256,
        out_channels=256,
        num_classes=num_classes,
        num_queries=100,
        num_transformer_feat_level=3,
        align_corners=False,
        pixel_decoder=dict(
            type='mmdet.Mask2FormerPixelDecoder',
            num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=6,
                layer_cfg=dict(
                    self_attn_cfg=dict(
                        embed_dims=256,
                        num_heads=8,
                        num_levels=3,
                        num_points=4,
                        im2col_step=64,
                        dropout=0.0,
                        batch_first=True,
                    ),
                    ffn_cfg=dict(
                        embed_dims=256,
                        feedforward_channels=1024,
                        num_fcs=2,
                        ffn_drop=0.0,
                        act_cfg=dict(type='ReLU', inplace=True),
                    ),
                ),
            ),
            positional_encoding=dict(num_feats=128, normalize=True),
        ),
        positional_encoding=dict(num_feats=128, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=9,
            layer_cfg=dict(
                self_attn_cfg=dict(
                    embed_dims=256, num_heads=8, attn_drop=0.0, proj_drop=0.0, batch_first=True
                ),
                cross_attn_cfg=dict(
                    embed_dims=256, num_heads=8, attn_drop=0.0, proj_drop=0.0, batch_first=True
                ),
                ffn_cfg=dict(
                    embed_dims=256,
                    feedforward_channels=2048,
                    num_fcs=2,
                    ffn_drop=0.0,
                    act_cfg=dict(type='ReLU', inplace=True),
                ),
            ),
        ),
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            loss_weight=2.0,
            class_weight=[1.0] * num_classes + [0.1],
        ),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0),
        loss_dice=dict(
            type='mmdet.DiceLoss', use_sigmoid=True, activate=True, naive_dice=True, eps=1.0, loss_weight=5.0
        ),
        train_cfg=dict(
            num_points=12544,
            oversample_ratio=3.0,
            importance_sample_ratio=0.75,
            assigner=dict(
                type='mmdet.HungarianAssigner',
                match_costs=[
                    dict(type='mmdet.ClassificationCost', weight=2.0),
                    dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                    dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
                ],
            ),
            sampler=dict(type='mmdet.MaskPseudoSampler'),
        ),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# One decoder layer over the lowest resolution alone; the other levels go to the mask features by an FPN.
one_layer = dict(
    num_transformer_feat_level=1,
    pixel_decoder=dict(num_outs=1, encoder=dict(layer_cfg=dict(self_attn_cfg=dict(num_levels=1)))),
    transformer_decoder=dict(num_layers=1),
)

# Backbones and their channels
_swin = dict(
    _delete_=True,
    type='mmdet.SwinTransformer',
    mlp_ratio=4,
    qkv_bias=True,
    drop_path_rate=0.3,
    patch_norm=True,
    out_indices=(0, 1, 2, 3),
    convert_weights=True,
)
_in1k = dict(pretrain_img_size=224, window_size=7)
_in22k_384 = dict(pretrain_img_size=384, window_size=12)
_official = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
swin_t = dict(
    _swin,
    **_in1k,
    embed_dims=96,
    depths=[2, 2, 6, 2],
    num_heads=[3, 6, 12, 24],
    init_cfg=dict(type='Pretrained', checkpoint=_official + 'swin_tiny_patch4_window7_224.pth'),
)
swin_s = dict(
    _swin,
    **_in1k,
    embed_dims=96,
    depths=[2, 2, 18, 2],
    num_heads=[3, 6, 12, 24],
    init_cfg=dict(type='Pretrained', checkpoint=_official + 'swin_small_patch4_window7_224.pth'),
)
swin_b = dict(
    _swin,
    **_in22k_384,
    embed_dims=128,
    depths=[2, 2, 18, 2],
    num_heads=[4, 8, 16, 32],
    init_cfg=dict(type='Pretrained', checkpoint=_official + 'swin_base_patch4_window12_384_22k.pth'),
)
swin_l = dict(
    _swin,
    **_in22k_384,
    embed_dims=192,
    depths=[2, 2, 18, 2],
    num_heads=[6, 12, 24, 48],
    init_cfg=dict(type='Pretrained', checkpoint=_official + 'swin_large_patch4_window12_384_22k.pth'),
)
swin_ts_channels = [96, 192, 384, 768]
swin_b_channels = [128, 256, 512, 1024]
swin_l_channels = [192, 384, 768, 1536]
r50_init = dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'))
r101 = dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
# ResNet-101 whose 7x7 stem is three 3x3 convolutions (detectron2's R-103.pkl, converted)
r101_3x3 = dict(
    depth=101,
    deep_stem=True,
    stem_channels=128,
    init_cfg=dict(type='Pretrained', checkpoint='checkpoints/R-103.pth', prefix='backbone.'),
)
