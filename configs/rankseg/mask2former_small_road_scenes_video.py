"""A small video Mask2Former for the synthetic road scenes in motion: a narrow ResNet-18, trained from scratch."""

_base_ = [
    '../_base_/models/mask2former_video.py',
    '../_base_/datasets/road_scenes_video.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_video.py',
]
custom_imports = dict(imports=['mmroad.rankseg.video'], allow_failed_imports=False)
_dims = 64
_attention = dict(embed_dims=_dims, num_heads=4)
_ffn = dict(embed_dims=_dims, feedforward_channels=4 * _dims)
model = dict(
    **_base_.semantic,
    backbone=dict(
        depth=18, base_channels=32, stem_channels=32, norm_cfg=dict(requires_grad=True), norm_eval=False
    ),
    track_head=dict(
        in_channels=[32, 64, 128, 256],
        feat_channels=_dims,
        out_channels=_dims,
        num_queries=40,
        pixel_decoder=dict(
            encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
            positional_encoding=dict(num_feats=_dims // 2),
        ),
        positional_encoding=dict(num_feats=_dims // 2),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
        train_cfg=dict(num_points=2048),
    ),
)
max_iters = 1200
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-3), paramwise_cfg=dict(backbone_lr_mult=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=0, power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
