"""Mask R-CNN, HRNetV2p-W32, 3x schedule."""

_base_ = [
    '../_base_/models/mask_rcnn.py',
    '../_base_/backbones/hrnet.py',
    '../_base_/datasets/bdd100k_ins_seg.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/ins_seg_runtime.py',
]
model = dict(backbone=_base_.hrnet_w32, neck=_base_.hrfpn_w32)
train_dataloader = _base_.train_ms
optim_wrapper = _base_.sgd_002
auto_scale_lr = _base_.batch_16
