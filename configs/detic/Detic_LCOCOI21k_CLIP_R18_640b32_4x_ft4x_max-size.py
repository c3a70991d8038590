"""LVIS, COCO and ImageNet-21k image labels, ResNet-18."""

_base_ = ['./Detic_LCOCOI21k_CLIP_R5021k_640b32_4x_ft4x_max-size.py']
model = dict(backbone=_base_.r18, neck=dict(in_channels=_base_.r18_channels))
load_from = 'data/detic/BoxSup-C2_LCOCO_CLIP_R18_640b32_4x.pth'
