"""ATSS, ResNet-50 FPN, 1x schedule."""

_base_ = [
    '../_base_/models/atss.py',
    '../_base_/datasets/bdd100k_det.py',
    '../_base_/schedules/det_1x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
optim_wrapper = _base_.sgd_002
