"""FCOS with center sampling, normalized boxes and GIoU, ResNet-50 FPN, 1x schedule."""

_base_ = [
    '../_base_/models/fcos.py',
    '../_base_/datasets/bdd100k_det.py',
    '../_base_/schedules/det_1x.py',
    '../_base_/schedules/det_optimizers.py',
    '../_base_/det_runtime.py',
]
model = dict(
    backbone=_base_.r50_caffe_detectron2,
    bbox_head=dict(
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        loss_bbox=dict(type='GIoULoss'),
    ),
    test_cfg=dict(nms=dict(iou_threshold=0.6)),
)
optim_wrapper = _base_.sgd_fcos
param_scheduler = _base_.fcos_tricks_1x
