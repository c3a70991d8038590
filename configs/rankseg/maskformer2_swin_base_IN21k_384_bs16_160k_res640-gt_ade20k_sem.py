"""Mask2Former that is told the classes of each image (an oracle), Swin-B, ADE20K semantic segmentation."""

_base_ = './maskformer2_swin_base_IN21k_384_bs16_160k_res640_ade20k_sem.py'
model = dict(resize_masks=True, decode_head=dict(type='RankSegSemSegHead', rank_seg=dict(oracle=True)))
val_dataloader = dict(dataset=dict(pipeline=_base_.oracle_pipeline))
test_dataloader = val_dataloader
tta_pipeline = _base_.oracle_tta_pipeline
