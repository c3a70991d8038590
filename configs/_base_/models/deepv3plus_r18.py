"""A small DeepLabV3+ (half-width ResNet-18, output stride 16) that trains on a CPU in minutes."""

_base_ = ['./deepv3plus_wrn38.py']
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        out_indices=(0, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        in_channels=(32, 256),
        channels=48,
        skip_channels=16,
        dilations=(2, 4, 6),
        norm_cfg=norm_cfg,
        loss_decode=dict(_delete_=True, type='CrossEntropyLoss'),
    ),
)
