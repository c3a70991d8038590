"""Video Mask2Former, Swin-L, 200 queries, YouTube-VIS 2019."""

_base_ = './video_maskformer2_swin_base_IN21k_384_bs16_8ep_ytvis2019.py'
model = dict(
    backbone=_base_.coco_swin_l, track_head=dict(in_channels=_base_.swin_l_channels, num_queries=200)
)
load_from = 'checkpoints/mask2former_swin_l_coco_instance.pth'
