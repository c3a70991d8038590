"""RetinaNet, ResNet-50 of "ResNet strikes back", FPN, 3x schedule."""

_base_ = [
    '../_base_/models/retinanet.py',
    '../_base_/datasets/bdd100k_det_ms.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
model = dict(backbone=_base_.rsb)
optim_wrapper = dict(_base_.adamw_rsb, optimizer=dict(_base_.adamw_rsb.optimizer, lr=1e-4))
