"""RankSeg on Mask2Former, Swin-L, 200 queries, ADE20K panoptic segmentation."""

_base_ = './maskformer2_swin_large_IN21k_384_bs16_160k_ade20k_panoptic.py'
model = dict(panoptic_head=dict(type='RankSegPanopticHead', rank_seg=dict(top_k=150)))
optim_wrapper = dict(paramwise_cfg=dict(ml_head_lr_mult=0.1))
val_dataloader = dict(dataset=dict(pipeline=_base_.oracle_pipeline))
test_dataloader = val_dataloader
val_evaluator = [*_base_.val_evaluator, dict(type='RankingMetric')]
test_evaluator = val_evaluator
