"""Mask R-CNN, ResNet-50 FPN with deformable convolutions, 3x schedule, 32 images (inferred: see README.md)."""

_base_ = [
    '../_base_/models/mask_rcnn.py',
    '../_base_/datasets/bdd100k_ins_seg.py',
    '../_base_/schedules/det_3x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/ins_seg_runtime.py',
]
model = dict(backbone=_base_.dconv)
train_dataloader = dict(_base_.train_ms, batch_size=4)
