"""Panoptic FPN: ten classes of things by Mask R-CNN, thirty of stuff by a semantic head (ResNet-50)."""

_base_ = ['mask_rcnn.py']

model = dict(
    type='PanopticFPN',
    data_preprocessor=dict(pad_seg=True),
    roi_head=dict(bbox_head=dict(num_classes=10), mask_head=dict(num_classes=10)),
    semantic_head=dict(
        type='PanopticFPNHead',
        num_things_classes=10,
        num_stuff_classes=30,
        in_channels=256,
        inner_channels=128,
        start_level=0,
        end_level=4,
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True),
        loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5),
    ),
    panoptic_fusion_head=dict(type='HeuristicFusionHead', num_things_classes=10, num_stuff_classes=30),
    # mmdet 2 took boxes by the published test_cfg.panoptic, mmdet 3 takes them by rcnn
    test_cfg=dict(
        rcnn=dict(score_thr=0.6, nms=dict(class_agnostic=True)),
        panoptic=dict(mask_overlap=0.5, stuff_area_limit=4096),
    ),
)
