"""Mask2Former, Swin-B, ADE20K semantic segmentation."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/ade20k_640.py',
    '../_base_/schedules/mask2former_160k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rankseg'], allow_failed_imports=False)
model = dict(
    type='Mask2FormerSegmentor',
    data_preprocessor=dict(size=(640, 640)),
    backbone=_base_.swin_b,
    decode_head=dict(
        in_channels=_base_.swin_b_channels, num_classes=150, loss_cls=dict(class_weight=[1.0] * 150 + [0.1])
    ),
)
