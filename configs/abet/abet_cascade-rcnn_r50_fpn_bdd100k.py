"""Cascade R-CNN R50-FPN on BDD100K with a learned temperature in every stage."""

_base_ = ['./faster-rcnn_r50_fpn_bdd100k.py']
_rcnn = _base_.model.train_cfg.rcnn
model = dict(
    type='CascadeRCNN',
    roi_head=dict(
        type='CascadeRoIHead',
        num_stages=3,
        stage_loss_weights=[1, 0.5, 0.25],
        bbox_head=[
            dict(
                _base_.model.roi_head.bbox_head,
                temperature=_base_.learned_temperature,
                reg_class_agnostic=True,
                bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1 / s, 0.1 / s, 0.2 / s, 0.2 / s]),
            )
            for s in (1, 2, 3)
        ],
    ),
    train_cfg=dict(
        rcnn=[
            dict(_rcnn, assigner=dict(_rcnn.assigner, pos_iou_thr=t, neg_iou_thr=t, min_pos_iou=t))
            for t in (0.5, 0.6, 0.7)
        ]
    ),
)
