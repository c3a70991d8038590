"""FCOS, ResNet-50 (Caffe style) FPN, 1x schedule."""

_base_ = [
    '../_base_/models/fcos.py',
    '../_base_/datasets/bdd100k_det.py',
    '../_base_/schedules/det_1x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
optim_wrapper = _base_.sgd_fcos_clip
param_scheduler = _base_.fcos_1x
