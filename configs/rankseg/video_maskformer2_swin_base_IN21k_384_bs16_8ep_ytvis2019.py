"""Video Mask2Former, Swin-B, YouTube-VIS 2019."""

_base_ = './video_maskformer2_R101_bs16_8ep_ytvis2019.py'
model = dict(backbone=_base_.coco_swin_b, track_head=dict(in_channels=_base_.swin_b_channels))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
load_from = 'checkpoints/mask2former_swin_b_coco_instance.pth'
