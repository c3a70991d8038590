"""Faster R-CNN ResNet-50 C4 with Detic's zero-shot head, open-vocabulary COCO (80 classes)."""

coco_embeddings = 'data/embeddings/coco_clip_a+cname.npy'
coco_image_counts = 'data/coco/annotations/instances_train2017_seen_2_oriorder_cat_info.json'

_msra = dict(type='Pretrained', checkpoint='imagenet://resnet50_msra-5891d200.pth')
norm_cfg = dict(type='BN', requires_grad=False)
model = dict(
    type='Detic',
    class_names='coco',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        frozen_stages=1,
        norm_cfg=norm_cfg,
        norm_eval=True,
        style='caffe',
        init_cfg=_msra,
    ),
    rpn_head=dict(
        type='RPNHead',
        in_channels=1024,
        feat_channels=1024,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[2, 4, 8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
            scale_major=False,
            center_offset=0.0,
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    roi_head=dict(
        type='DeticRoIHead',
        bbox_reg_weights=((10, 10, 5, 5),),
        proposal_score=False,
        shared_head=dict(
            type='ResLayer',
            depth=50,
            stage=3,
            stride=2,
            style='caffe',
            norm_cfg=norm_cfg,
            norm_eval=True,
            init_cfg=_msra,
        ),
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=1024,
            featmap_strides=[16],
        ),
        bbox_head=dict(
            type='DeticBBoxHead',
            num_classes=80,
            in_channels=2048,
            num_shared_fcs=0,
            classifier=dict(embeddings=coco_embeddings),
            ignore_zero_cats=True,
            image_counts=coco_image_counts,
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=1e-3,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler', num=256, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False
            ),
            allowed_border=-1,
            pos_weight=-1,
        ),
        rpn_proposal=dict(
            nms_pre=12000, max_per_img=2000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
        rcnn=dict(stages=(0.5,), num=512, pos_fraction=0.25),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=6000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
)
