"""A small Faster R-CNN on the synthetic road scenes with the energy as OOD score, the baseline."""

_base_ = [
    '../_base_/models/abet_faster_rcnn.py',
    '../_base_/datasets/abet_road_scenes_det.py',
    '../_base_/schedules/abet_det_small.py',
]
custom_imports = dict(
    imports=['mmroad.bdd100k.det', 'mmroad.abet.det', 'mmroad.anomaly.det_metric'], allow_failed_imports=False
)
model = dict(
    data_preprocessor=dict(std=[58.0, 58.0, 58.0]),
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        frozen_stages=-1,
        norm_cfg=dict(requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=64, finest_scale=28, roi_layer=dict(output_size=5, sampling_ratio=2)
        ),
        bbox_head=dict(in_channels=64, fc_out_channels=256, roi_feat_size=5),
    ),
    # on a CPU the suppression and RoIAlign take most of a small detector's time
    train_cfg=dict(rpn_proposal=dict(nms_pre=200, max_per_img=200), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100)),
)
