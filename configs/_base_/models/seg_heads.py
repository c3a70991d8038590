"""Decode heads as named values; all are trained by cross-entropy."""

_head = dict(dropout_ratio=0.1, norm_cfg=dict(type='SyncBN', requires_grad=True))

# Heads on the last stage
_d8 = dict(_head, in_channels=2048, in_index=3, channels=512)
fcn = dict(_d8, type='FCNHead', num_convs=2, concat_input=True)
psp = dict(_d8, type='PSPHead', pool_scales=(1, 2, 3, 6))
apc = dict(_d8, type='APCHead', pool_scales=(1, 2, 3, 6))
aspp = dict(_d8, type='ASPPHead', dilations=(1, 12, 24, 36))
aspp_plus = dict(aspp, type='DepthwiseSeparableASPPHead', c1_in_channels=256, c1_channels=48)
psa = dict(
    _d8,
    type='PSAHead',
    mask_size=(97, 97),
    psa_type='bi-direction',
    compact=False,
    shrink_factor=2,
    normalization_factor=1.0,
    psa_softmax=True,
)
non_local = dict(_d8, type='NLHead', reduction=2, use_scale=True, mode='embedded_gaussian')
dnl = dict(non_local, type='DNLHead')
ema = dict(_d8, type='EMAHead', channels=256, ema_channels=512, num_bases=64, num_stages=3, momentum=0.1)
dm = dict(_d8, type='DMHead', filter_sizes=(1, 3, 5, 7))
da = dict(_d8, type='DAHead', pam_channels=64)
cc = dict(_d8, type='CCHead', recurrence=2)
gc = dict(_d8, type='GCHead', ratio=1 / 4, pooling_type='att', fusion_types=('channel_add',))

# Heads on all stages
uper = dict(
    _head,
    type='UPerHead',
    in_channels=[256, 512, 1024, 2048],
    in_index=[0, 1, 2, 3],
    pool_scales=(1, 2, 3, 6),
    channels=512,
)
hr48 = dict(
    _head,
    type='FCNHead',
    in_channels=[48, 96, 192, 384],
    in_index=(0, 1, 2, 3),
    channels=720,
    kernel_size=1,
    num_convs=1,
    concat_input=False,
    input_transform='resize_concat',
    dropout_ratio=-1,
)
dpt = dict(
    type='DPTHead',
    in_channels=(768,) * 4,
    channels=256,
    embed_dims=768,
    readout_type='project',
    post_process_channels=[96, 192, 384, 768],
    input_transform='multiple_select',
    in_index=(0, 1, 2, 3),
    norm_cfg=dict(type='BN', requires_grad=True),
)

# Heads on a feature pyramid
fpn_neck = dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4)
fpn = dict(
    _head,
    type='FPNHead',
    in_channels=[256] * 4,
    in_index=[0, 1, 2, 3],
    feature_strides=[4, 8, 16, 32],
    channels=128,
)
fpn_gn = dict(fpn, norm_cfg=dict(type='GN', num_groups=32, requires_grad=True))
fpn_gn_dconv = dict(fpn_gn, conv_cfg=dict(type='DCNv2'))
point = dict(
    type='PointHead',
    in_channels=[256],
    in_index=[0],
    channels=256,
    num_fcs=3,
    coarse_pred_each_layer=True,
    dropout_ratio=-1,
)
point_rend = dict(  # the model around fpn and point
    type='CascadeEncoderDecoder',
    num_stages=2,
    neck=fpn_neck,
    auxiliary_head=None,
    train_cfg=dict(num_points=2048, oversample_ratio=3, importance_sample_ratio=0.75),
    test_cfg=dict(subdivision_steps=2, subdivision_num_points=8196, scale_factor=2),
)
