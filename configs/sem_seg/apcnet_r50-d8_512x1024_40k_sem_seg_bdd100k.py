"""APCNet, ResNet-50-d8, crops of 512x1024, 40k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_40k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(decode_head=dict(_base_.apc, **_base_.classes), auxiliary_head=dict(_base_.classes))
