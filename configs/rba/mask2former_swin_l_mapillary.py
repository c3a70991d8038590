"""Mask2Former, Swin-L, all nine decoder layers, the 65 classes of Mapillary Vistas 1.2."""

_base_ = [
    '../_base_/models/mask2former_sem_seg.py',
    '../_base_/datasets/mapillary.py',
    '../_base_/schedules/mask2former_90k.py',
    '../_base_/runtime_sem_seg.py',
]
custom_imports = dict(imports=['mmroad.rba'], allow_failed_imports=False)
model = dict(
    data_preprocessor=dict(size=(1024, 1024)),
    backbone=_base_.swin_l,
    decode_head=dict(
        in_channels=_base_.swin_l_channels,
        num_classes=65,
        ignore_index=65,
        loss_cls=dict(class_weight=[1.0] * 65 + [0.1]),
    ),
)
max_iters = 300000
train_cfg = dict(max_iters=max_iters)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
