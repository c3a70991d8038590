"""Boxes of LVIS and COCO, CenterNet2 ResNet-50."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
train_dataloader = dict(dataset=dict(_base_.lvis_coco, pipeline=_base_.box_640))
load_from = 'data/pretrained/resnet50_miil_21k.pth'
