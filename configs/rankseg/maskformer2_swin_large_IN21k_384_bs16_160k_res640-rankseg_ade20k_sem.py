"""RankSeg on Mask2Former, Swin-L, ADE20K semantic segmentation."""

_base_ = './maskformer2_swin_large_IN21k_384_bs16_160k_res640_ade20k_sem.py'
model = dict(resize_masks=True, decode_head=dict(type='RankSegSemSegHead', rank_seg=dict(top_k=150)))
optim_wrapper = dict(paramwise_cfg=dict(ml_head_lr_mult=0.1))
val_evaluator = [*_base_.val_evaluator, dict(type='RankingMetric')]
test_evaluator = val_evaluator
