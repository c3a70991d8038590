"""Mask R-CNN, ResNet-50 FPN, 1x schedule, 32 images (inferred: see README.md)."""

_base_ = [
    '../_base_/models/mask_rcnn.py',
    '../_base_/datasets/bdd100k_ins_seg.py',
    '../_base_/schedules/det_1x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/ins_seg_runtime.py',
]
train_dataloader = dict(batch_size=4)
