"""PointRend, ResNet-50, crops of 512x1024, 40k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_40k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(
    **_base_.point_rend,
    backbone=_base_.r50_d32,
    decode_head=[dict(_base_.fpn, dropout_ratio=-1, **_base_.classes), dict(_base_.point, **_base_.classes)],
)
param_scheduler = _base_.warmed_point
