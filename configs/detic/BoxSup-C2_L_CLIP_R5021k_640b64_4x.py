"""Boxes of LVIS, CenterNet2 ResNet-50."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
load_from = 'data/pretrained/resnet50_miil_21k.pth'
