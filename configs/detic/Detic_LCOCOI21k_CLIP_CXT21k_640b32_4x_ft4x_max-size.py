"""LVIS, COCO and ImageNet-21k image labels, ConvNeXt-T."""

_base_ = ['./Detic_LCOCOI21k_CLIP_R5021k_640b32_4x_ft4x_max-size.py']
model = dict(backbone=_base_.convnext_t, neck=dict(in_channels=_base_.convnext_t_channels))
custom_imports = dict(imports=['mmroad.detic', 'mmroad.detic.convnext', 'mmroad.bdd100k.det'])
load_from = 'data/detic/BoxSup-C2_LCOCO_CLIP_CXT21k_640b32_4x.pth'
