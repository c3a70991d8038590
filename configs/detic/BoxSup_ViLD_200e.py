"""ViLD-style baseline: Mask R-CNN R50-FPN with the zero-shot classifier, LVIS without rare classes, from scratch."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/datasets/detic.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
sync_bn = dict(type='SyncBN', requires_grad=True)
strides = [4, 8, 16, 32]
model = dict(
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(out_indices=(0, 1, 2, 3), norm_cfg=sync_bn, norm_eval=False),
    neck=dict(
        _delete_=True,
        type='FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=5,
        norm_cfg=sync_bn,
    ),
    rpn_head=dict(
        _delete_=True,
        type='RPNHead',
        in_channels=256,
        feat_channels=256,
        num_convs=2,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[8],
            ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32, 64],
            center_offset=0.0,
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    roi_head=dict(
        bbox_reg_weights=((10, 10, 5, 5),),
        proposal_score=False,
        bbox_roi_extractor=dict(featmap_strides=strides, finest_scale=56),
        bbox_head=dict(
            num_shared_convs=4,
            norm_cfg=sync_bn,
            num_shared_fcs=1,
            federated=0,
            ignore_zero_cats=True,
            image_counts='data/lvis/lvis_v1_train_norare_cat_info.json',
        ),
        mask_roi_extractor=dict(featmap_strides=strides, finest_scale=56),
        mask_head=dict(norm_cfg=sync_bn),
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
            _delete_=True,
            nms_pre=2000,
            max_per_img=1000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(stages=(0.5,)),
    ),
    test_cfg=dict(
        rpn=dict(
            _delete_=True,
            nms_pre=1000,
            max_per_img=1000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(score_thr=1e-4),
    ),
)
train_dataloader = dict(
    sampler=dict(repeat=[True]), dataset=dict(_base_.lvis_norare, pipeline=_base_.box_896)
)
val_evaluator = _base_.lvis_novel
test_evaluator = val_evaluator
train_cfg = dict(max_iters=92187, val_interval=92187)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.067, by_epoch=False, begin=0, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=92187, T_max=92187, eta_min=0),
]
optim_wrapper = dict(optimizer=dict(lr=8e-4), paramwise_cfg=dict(norm_decay_mult=0.0), clip_grad=None)
auto_scale_lr = dict(base_batch_size=256)
