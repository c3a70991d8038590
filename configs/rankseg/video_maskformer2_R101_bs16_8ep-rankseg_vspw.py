"""RankSeg on video Mask2Former, ResNet-101, VSPW; the ranking head learns at twice the rate."""

_base_ = './video_maskformer2_R101_bs16_8ep_vspw.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(top_k=124)))
optim_wrapper = dict(paramwise_cfg=dict(ml_head_lr_mult=2.0))
