"""RankSeg on video Mask2Former, ResNet-101, YouTube-VIS 2019."""

_base_ = './video_maskformer2_R101_bs16_8ep_ytvis2019.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(top_k=40)))
