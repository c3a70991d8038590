"""RankSeg on video Mask2Former, Swin-B, YouTube-VIS 2019."""

_base_ = './video_maskformer2_swin_base_IN21k_384_bs16_8ep_ytvis2019.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(top_k=40)))
