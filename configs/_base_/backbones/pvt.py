"""Pyramid Vision Transformers, version 1 and 2, with the channels of their stages."""

pvt_t = dict(
    _delete_=True,
    type='PyramidVisionTransformer',
    num_layers=[2, 2, 2, 2],
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://pvt_tiny.pth'),
)
pvt_s = dict(
    _delete_=True,
    type='PyramidVisionTransformer',
    num_layers=[3, 4, 6, 3],
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://pvt_small.pth'),
)
pvtv2_b0 = dict(
    _delete_=True,
    type='PyramidVisionTransformerV2',
    embed_dims=32,
    num_layers=[2, 2, 2, 2],
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://pvt_v2_b0.pth'),
)
pvtv2_b1 = dict(
    _delete_=True,
    type='PyramidVisionTransformerV2',
    embed_dims=64,
    num_layers=[2, 2, 2, 2],
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://pvt_v2_b1.pth'),
)
pvtv2_b2 = dict(
    _delete_=True,
    type='PyramidVisionTransformerV2',
    embed_dims=64,
    num_layers=[3, 4, 6, 3],
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://pvt_v2_b2.pth'),
)
pvt_channels = [64, 128, 320, 512]
pvtv2_b0_channels = [32, 64, 160, 256]
