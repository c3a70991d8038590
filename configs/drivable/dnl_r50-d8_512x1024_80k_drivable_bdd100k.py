"""DNLNet, ResNet-50-d8, drivable area, crops of 512x1024, 80k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/datasets/zoo_drivable.py',
    '../_base_/schedules/seg_80k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(decode_head=dict(_base_.dnl, **_base_.classes), auxiliary_head=dict(_base_.classes))
