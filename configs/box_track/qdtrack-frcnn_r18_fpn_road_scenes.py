"""QDTrack on a half-width ResNet-18 with FPN, from scratch, for road scenes at 320x192: minutes on a CPU."""

_base_ = [
    '../_base_/models/qdtrack.py',
    '../_base_/datasets/road_scenes_track.py',
    '../_base_/schedules/track_12e.py',
    '../_base_/track_runtime.py',
]
model = dict(
    detector=dict(
        backbone=dict(depth=18, base_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None),
        neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
        rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[5])),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=64, roi_layer=dict(output_size=5, sampling_ratio=2)),
            bbox_head=dict(in_channels=64, fc_out_channels=256, roi_feat_size=5),
        ),
        train_cfg=dict(rpn_proposal=dict(nms_pre=200, max_per_img=200), rcnn=dict(sampler=dict(num=64))),
        test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100)),
    ),
    track_head=dict(
        roi_extractor=dict(out_channels=64, roi_layer=dict(output_size=5, sampling_ratio=2)),
        embed_head=dict(
            num_convs=1,
            in_channels=64,
            conv_out_channels=64,
            roi_feat_size=5,
            fc_out_channels=256,
            embed_channels=64,
            norm_cfg=dict(num_groups=16),
        ),
        train_cfg=dict(sampler=dict(num=64)),
    ),
)
train_cfg = dict(max_epochs=4, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=4, T_max=4, convert_to_iter_based=True),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=5, norm_type=2),
)
default_hooks = dict(logger=dict(interval=25))
