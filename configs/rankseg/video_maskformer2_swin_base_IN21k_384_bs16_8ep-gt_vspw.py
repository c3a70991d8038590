"""Video Mask2Former that is told the classes of each clip (an oracle), Swin-B, VSPW."""

_base_ = './video_maskformer2_swin_base_IN21k_384_bs16_8ep_vspw.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(oracle=True)))
