"""detectron2's Faster R-CNN R50-FPN with OOD scores; ``abet`` is what the learned temperature changes."""

_base_ = ['./faster_rcnn.py']
learned_temperature = dict(type='LearnedTemperatureLinear')
abet = dict(roi_head=dict(bbox_head=dict(temperature=learned_temperature)))
model = dict(
    data_preprocessor=dict(mean=[103.530, 116.280, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    rpn_head=dict(loss_cls=dict(loss_weight=1.0), loss_bbox=dict(loss_weight=1.0)),
    roi_head=dict(
        bbox_head=dict(
            type='AbeTShared2FCBBoxHead',
            loss_cls=dict(use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(loss_weight=1.0),
        )
    ),
    train_cfg=dict(rpn=dict(debug=False), rcnn=dict(debug=False)),
)
