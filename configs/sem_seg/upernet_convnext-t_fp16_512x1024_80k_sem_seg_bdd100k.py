"""UPerNet, ConvNeXt-T, crops of 512x1024, 80k iterations, mixed precision."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/backbones/convnext.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_80k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(
    backbone=dict(_base_.convnext_t, drop_path_rate=0.4),
    decode_head=dict(_base_.uper, in_channels=_base_.convnext_channels, **_base_.classes),
    auxiliary_head=dict(in_channels=_base_.convnext_channels[2], **_base_.classes),
)
optim_wrapper = _base_.adamw_convnext_seg
param_scheduler = _base_.warmed
custom_imports = _base_.convnext_seg_imports
