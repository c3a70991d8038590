"""RetinaNet, PVTv2-B0 FPN, 3x schedule."""

_base_ = [
    '../_base_/models/retinanet.py',
    '../_base_/backbones/pvt.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
model = dict(backbone=_base_.pvtv2_b0, neck=dict(in_channels=_base_.pvtv2_b0_channels))
optim_wrapper = _base_.adamw_pvt
train_dataloader = _base_.batch_2
auto_scale_lr = _base_.batch_16
