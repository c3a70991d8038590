"""A small Mask2Former for the synthetic road scenes: a narrow ResNet-18 and one decoder layer over one level."""

_base_ = './mask2former_sem_seg.py'
_dims = 64
_attention = dict(embed_dims=_dims, num_heads=4)
_ffn = dict(embed_dims=_dims, feedforward_channels=4 * _dims)
model = dict(
    data_preprocessor=dict(size=None, size_divisor=32),
    backbone=dict(depth=18, base_channels=32, stem_channels=32, norm_cfg=dict(type='BN')),
    decode_head=dict(
        _base_.one_layer,
        in_channels=[32, 64, 128, 256],
        feat_channels=_dims,
        out_channels=_dims,
        num_queries=40,
        pixel_decoder=dict(
            num_outs=1,
            encoder=dict(
                num_layers=2, layer_cfg=dict(self_attn_cfg=dict(_attention, num_levels=1), ffn_cfg=_ffn)
            ),
            positional_encoding=dict(num_feats=_dims // 2),
        ),
        positional_encoding=dict(num_feats=_dims // 2),
        transformer_decoder=dict(
            num_layers=1, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
        train_cfg=dict(num_points=2048),
    ),
)
