"""Boxes of the base classes of drawn shapes: a half-width ResNet-18 from scratch, 96 x 96."""

_base_ = [
    '../_base_/models/detic_c2.py',
    '../_base_/datasets/detic_drawn_shapes.py',
    '../_base_/schedules/detic.py',
    '../_base_/detic_runtime.py',
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    class_names=None,
    backbone=dict(depth=18, base_channels=32, norm_cfg=norm_cfg, norm_eval=False),
    neck=dict(in_channels=[64, 128, 256], out_channels=64),
    rpn_head=dict(in_channels=64, stacked_convs=2),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, roi_layer=dict(output_size=5, sampling_ratio=1)),
        bbox_head=dict(
            in_channels=64,
            roi_feat_size=5,
            fc_out_channels=128,
            num_classes=12,
            classifier=dict(embeddings='data/drawn_shapes/embeddings.npy'),
            federated=0,
            image_counts=None,
        ),
        mask_roi_extractor=None,
        mask_head=None,
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=200, max_per_img=100), rcnn=dict(num=24)),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=50), rcnn=dict(max_per_img=50)),
)
train_cfg = dict(max_iters=500, val_interval=500)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=500, T_max=500, eta_min=0),
]
default_hooks = dict(checkpoint=dict(interval=500), logger=dict(interval=25))
