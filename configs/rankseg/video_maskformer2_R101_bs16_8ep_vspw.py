"""Video Mask2Former, ResNet-101, VSPW."""

_base_ = [
    '../_base_/models/mask2former_video.py',
    '../_base_/schedules/mask2former_video_6k.py',
    '../_base_/datasets/vspw.py',
    '../_base_/runtime_video.py',
]
custom_imports = dict(imports=['mmroad.rankseg.video'], allow_failed_imports=False)
model = dict(
    **_base_.semantic, track_head=dict(num_classes=124, loss_cls=dict(class_weight=[1.0] * 124 + [0.1]))
)
load_from = 'checkpoints/mask2former_r101_coco_instance.pth'
