"""Video Mask2Former, Swin-B, VSPW."""

_base_ = './video_maskformer2_R101_bs16_8ep_vspw.py'
model = dict(backbone=_base_.coco_swin_b, track_head=dict(in_channels=_base_.swin_b_channels))
load_from = 'checkpoints/mask2former_swin_b_coco_instance.pth'
