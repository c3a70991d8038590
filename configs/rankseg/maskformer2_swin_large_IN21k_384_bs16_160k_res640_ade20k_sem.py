"""Mask2Former, Swin-L, ADE20K semantic segmentation."""

_base_ = './maskformer2_swin_base_IN21k_384_bs16_160k_res640_ade20k_sem.py'
model = dict(backbone=_base_.swin_l, decode_head=dict(in_channels=_base_.swin_l_channels))
