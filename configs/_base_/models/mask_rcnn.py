"""Mask R-CNN with FPN, eight classes (ResNet-50)."""

_base_ = ['faster_rcnn.py', 'mask_head.py']

model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(bbox_head=dict(num_classes=8), **_base_.mask_branch),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=True), mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
