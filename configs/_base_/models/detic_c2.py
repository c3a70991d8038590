"""CenterNet2 with Detic's zero-shot cascade: ResNet-50, LVIS's 1203 classes."""

lvis_embeddings = 'data/embeddings/lvis_v1_clip_a+cname.npy'
lvis_image_counts = 'data/embeddings/lvis_v1_train_cat_info.json'

model = dict(
    type='Detic',
    class_names='lvis',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
    ),
    neck=dict(
        type='FPN',
        in_channels=[512, 1024, 2048],
        out_channels=256,
        num_outs=5,
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
    ),
    rpn_head=dict(type='CenterNetRPNHead'),
    roi_head=dict(
        type='DeticRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[8, 16, 32],
            finest_scale=112,
        ),
        bbox_head=dict(
            type='DeticBBoxHead',
            num_classes=1203,
            classifier=dict(embeddings=lvis_embeddings),
            federated=50,
            image_counts=lvis_image_counts,
        ),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[8, 16, 32],
            finest_scale=112,
        ),
        mask_head=dict(
            type='FCNMaskHead',
            num_classes=1,
            class_agnostic=True,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True),
        ),
    ),
    train_cfg=dict(
        rpn=dict(),
        rpn_proposal=dict(score_thr=1e-4, nms_pre=4000, nms=dict(iou_threshold=0.9), max_per_img=2000),
        rcnn=dict(stages=(0.6, 0.7, 0.8), num=512, pos_fraction=0.25, mask_size=28),
    ),
    test_cfg=dict(
        rpn=dict(score_thr=1e-4, nms_pre=1000, nms=dict(iou_threshold=0.9), max_per_img=256),
        rcnn=dict(
            score_thr=0.02, nms=dict(type='nms', iou_threshold=0.5), max_per_img=300, mask_thr_binary=0.5
        ),
    ),
)
