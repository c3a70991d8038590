"""Video Mask2Former that is told the classes of each clip (an oracle), ResNet-101, VSPW."""

_base_ = './video_maskformer2_R101_bs16_8ep_vspw.py'
model = dict(track_head=dict(type='RankSegVideoHead', rank_seg=dict(oracle=True)))
