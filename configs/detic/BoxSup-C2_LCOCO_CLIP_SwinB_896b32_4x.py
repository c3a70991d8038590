"""Boxes of LVIS and COCO, CenterNet2 Swin-B."""

_base_ = ['./BoxSup-C2_L_CLIP_SwinB_896b32_4x.py']
train_dataloader = dict(dataset=_base_.lvis_coco)
