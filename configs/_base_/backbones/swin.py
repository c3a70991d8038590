"""Swin Transformer backbones, window 7, drop path 0.2 at every size, with the channels of their stages."""

_common = dict(
    _delete_=True,
    type='SwinTransformer',
    window_size=7,
    drop_path_rate=0.2,
    convert_weights=True,
)
swin_t = dict(
    **_common,
    embed_dims=96,
    depths=(2, 2, 6, 2),
    num_heads=(3, 6, 12, 24),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://swin_tiny_patch4_window7_224.pth'),
)
swin_t_channels = [96, 192, 384, 768]
swin_s = dict(
    **_common,
    embed_dims=96,
    depths=(2, 2, 18, 2),
    num_heads=(3, 6, 12, 24),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://swin_small_patch4_window7_224.pth'),
)
swin_s_channels = [96, 192, 384, 768]
swin_b = dict(
    **_common,
    embed_dims=128,
    depths=(2, 2, 18, 2),
    num_heads=(4, 8, 16, 32),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://swin_base_patch4_window7_224.pth'),
)
#: The same with ImageNet-22k weights.
swin_b_22k = dict(
    swin_b, init_cfg=dict(type='Pretrained', checkpoint='imagenet://swin_base_patch4_window7_224_22k.pth')
)
swin_b_channels = [128, 256, 512, 1024]
swin_l_384 = dict(
    **_common,
    embed_dims=192,
    depths=(2, 2, 18, 2),
    num_heads=(6, 12, 24, 48),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://swin_large_patch4_window12_384_22k.pth'),
) | dict(pretrain_img_size=384, window_size=12)
swin_l_channels = [192, 384, 768, 1536]
