"""Cascade Mask R-CNN with FPN, eight classes (ResNet-50)."""

_base_ = ['cascade_rcnn.py', 'mask_head.py']

model = dict(
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(
        bbox_head=[dict(head, num_classes=8) for head in _base_.model.roi_head.bbox_head],
        **_base_.mask_branch,
    ),
    train_cfg=dict(rcnn=[dict(stage, mask_size=28) for stage in _base_.model.train_cfg.rcnn]),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
