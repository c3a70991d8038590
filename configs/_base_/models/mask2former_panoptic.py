"""Mask2Former for panoptic segmentation with 200 queries: ADE20K's 100 things and 50 stuff classes."""

_base_ = './mask2former_sem_seg.py'
num_things, num_stuff = 100, 50
model = dict(
    _delete_=True,
    type='Mask2FormerPanoptic',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=True,
        mask_pad_value=0,
        pad_seg=True,
        seg_pad_value=255,
    ),
    backbone=_base_.model.backbone,
    panoptic_head=dict(
        _base_.model.decode_head,
        type='Mask2FormerPanopticHead',
        num_things_classes=num_things,
        num_stuff_classes=num_stuff,
        num_queries=200,
        loss_cls=dict(
            type='CrossEntropyLoss',
            use_sigmoid=False,
            loss_weight=2.0,
            class_weight=[1.0] * (num_things + num_stuff) + [0.1],
        ),
    ),
    panoptic_fusion_head=dict(
        type='Mask2FormerFusionHead', num_things_classes=num_things, num_stuff_classes=num_stuff
    ),
    train_cfg=_base_.model.decode_head.train_cfg,
    test_cfg=dict(
        panoptic_on=True,
        instance_on=True,
        semantic_on=True,
        object_mask_thr=0.8,
        iou_thr=0.8,
        filter_low_score=True,
        max_per_image=100,
    ),
)
