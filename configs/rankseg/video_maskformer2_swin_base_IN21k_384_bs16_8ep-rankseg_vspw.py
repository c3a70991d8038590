"""RankSeg on video Mask2Former, Swin-B, VSPW; the ranking head learns at five times the rate."""

_base_ = './video_maskformer2_swin_base_IN21k_384_bs16_8ep_vspw.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(top_k=124)))
optim_wrapper = dict(paramwise_cfg=dict(ml_head_lr_mult=5.0))
