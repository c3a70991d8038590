"""Video Mask2Former, ResNet-101, YouTube-VIS 2019."""

_base_ = [
    '../_base_/models/mask2former_video.py',
    '../_base_/datasets/ytvis19.py',
    '../_base_/schedules/mask2former_video_6k.py',
    '../_base_/runtime_video.py',
]
custom_imports = dict(imports=['mmroad.rankseg.video'], allow_failed_imports=False)
model = dict(track_head=dict(num_classes=40, loss_cls=dict(class_weight=[1.0] * 40 + [0.1])))
val_cfg = None  # the validation videos' labels are not public
load_from = 'checkpoints/mask2former_r101_coco_instance.pth'
