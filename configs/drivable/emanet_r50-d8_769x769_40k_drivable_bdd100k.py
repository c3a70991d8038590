"""EMANet, ResNet-50-d8, drivable area, crops of 769x769, 40k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/datasets/zoo_drivable.py',
    '../_base_/schedules/seg_40k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(
    **_base_.slide_769,
    decode_head=dict(_base_.ema, **_base_.classes, **_base_.corners),
    auxiliary_head=dict(_base_.classes, **_base_.corners),
)
train_dataloader = _base_.train_769
val_dataloader = _base_.test_769
test_dataloader = val_dataloader
