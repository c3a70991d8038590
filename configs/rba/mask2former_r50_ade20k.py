"""Mask2Former, ResNet-50, ADE20K: facebookresearch/Mask2Former's maskformer2_R50_bs16_160k."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rba'], allow_failed_imports=False)
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=_base_.r50_init,
    decode_head=dict(num_classes=150, loss_cls=dict(class_weight=[1.0] * 150 + [0.1])),
)
max_iters = 160000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
