"""DDQ-DETR (https://arxiv.org/abs/2303.12776) of four scales, ResNet-50, 12 epochs."""

_base_ = ['_base_/dino.py']
model = dict(
    type='DDQDETR',
    dense_topk_ratio=1.5,
    bbox_head=dict(type='DDQDETRHead'),
    dqs_cfg=dict(type='nms', iou_threshold=0.8),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=False, begin=0, end=2000),
    _base_.param_scheduler[0],
]
