"""Swin, ViT and DeiT of segmentors."""

_base_ = ['swin.py']
_swin = dict(type='mmdet.SwinTransformer', drop_path_rate=0.3)
swin_t_seg, swin_s_seg, swin_b_seg = (dict(x, **_swin) for x in (_base_.swin_t, _base_.swin_s, _base_.swin_b))
vit_b = dict(
    _delete_=True,
    type='VisionTransformer',
    img_size=(512, 512),
    out_indices=(2, 5, 8, 11),
    patch_bias=True,
    norm_cfg=dict(type='LN', eps=1e-6),
    interpolate_mode='bicubic',
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://jx_vit_base_p16_224-80ecf9dd.pth'),
)
deit_s = dict(
    vit_b,
    num_heads=6,
    embed_dims=384,
    drop_path_rate=0.1,
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://deit_small_patch16_224-cd65a155.pth'),
)
vit_dpt = dict(
    _delete_=True,
    type='VisionTransformer',
    img_size=224,
    out_indices=(2, 5, 8, 11),
    final_norm=False,
    output_cls_token=True,
    patch_bias=True,
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://jx_vit_base_p16_224-80ecf9dd.pth'),
)
vit_b_neck = dict(type='MultiLevelNeck', in_channels=[768] * 4, out_channels=768, scales=[4, 2, 1, 0.5])
deit_s_neck = dict(vit_b_neck, in_channels=[384] * 4, out_channels=384)
