"""Mask2Former that is told the classes of each image (an oracle), Swin-L, ADE20K panoptic segmentation."""

_base_ = './maskformer2_swin_large_IN21k_384_bs16_160k_ade20k_panoptic.py'
model = dict(panoptic_head=dict(type='RankSegPanopticHead', rank_seg=dict(oracle=True)))
val_dataloader = dict(dataset=dict(pipeline=_base_.oracle_pipeline))
test_dataloader = val_dataloader
