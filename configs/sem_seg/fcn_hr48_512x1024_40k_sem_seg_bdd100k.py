"""FCN head, HRNetV2-W48, crops of 512x1024, 40k iterations."""

_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/models/seg_heads.py',
    '../_base_/backbones/hrnet.py',
    '../_base_/datasets/zoo_sem_seg.py',
    '../_base_/schedules/seg_40k.py',
    '../_base_/zoo_seg_runtime.py',
]
model = dict(
    backbone=_base_.hrnet_w48_seg, decode_head=dict(_base_.hr48, **_base_.classes), auxiliary_head=None
)
