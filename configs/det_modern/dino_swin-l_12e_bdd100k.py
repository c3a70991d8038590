"""DINO of five scales, Swin-L, 12 epochs."""

_base_ = ['_base_/dino.py', '../_base_/backbones/swin.py']
model = dict(
    num_feature_levels=5,
    backbone=dict(_base_.swin_l_384, with_cp=True),
    neck=dict(in_channels=_base_.swin_l_channels, num_outs=5),
    encoder=dict(layer_cfg=dict(self_attn_cfg=dict(num_levels=5))),
    decoder=dict(layer_cfg=dict(cross_attn_cfg=dict(num_levels=5))),
)
