"""HRNetV2p backbones with the neck that joins their branches."""


def _extra(w):
    return dict(
        stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)),
        stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4), num_channels=(w, 2 * w)),
        stage3=dict(
            num_modules=4, num_branches=3, block='BASIC', num_blocks=(4, 4, 4), num_channels=(w, 2 * w, 4 * w)
        ),
        stage4=dict(
            num_modules=3,
            num_branches=4,
            block='BASIC',
            num_blocks=(4, 4, 4, 4),
            num_channels=(w, 2 * w, 4 * w, 8 * w),
        ),
    )


hrnet_w18 = dict(
    _delete_=True,
    type='HRNet',
    extra=_extra(18),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://hrnetv2_w18-00eb2006.pth'),
)
hrnet_w32 = dict(
    _delete_=True,
    type='HRNet',
    extra=_extra(32),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://hrnetv2_w32-dc9eeb4f.pth'),
)
hrnet_w40 = dict(
    _delete_=True,
    type='HRNet',
    extra=_extra(40),
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://hrnetv2_w40-ed0b031c.pth'),
)
#: Of segmentors: norms over all GPUs.
hrnet_w48_seg = dict(
    _delete_=True,
    type='HRNet',
    extra=_extra(48),
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    norm_eval=False,
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://hrnetv2_w48-d2186c55.pth'),
)
hrfpn_w18 = dict(_delete_=True, type='HRFPN', in_channels=[18, 36, 72, 144], out_channels=256)
hrfpn_w32 = dict(_delete_=True, type='HRFPN', in_channels=[32, 64, 128, 256], out_channels=256)
hrfpn_w40 = dict(_delete_=True, type='HRFPN', in_channels=[40, 80, 160, 320], out_channels=256)
