"""Mask2Anomaly's inlier model: global masked attention on a frozen ResNet-50 of Barlow Twins, Cityscapes."""

_base_ = './rba_r50_9dl_cityscapes.py'
crop_size = (380, 760)
model = dict(
    anomaly_score='mask2anomaly',
    data_preprocessor=dict(size=None, size_divisor=32),
    backbone=dict(
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/barlowtwins/ljng/resnet50.pth'
        ),
    ),
    decode_head=dict(type='Mask2AnomalyHead'),
)
load, load_labels, choice, _, *rest = _base_.train_pipeline
augmentation = [choice, dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0), *rest]
train_pipeline = [load, load_labels, *augmentation]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
resize = dict(type='ResizeShortestEdge', scale=1024, max_size=2048)
test_pipeline = [load, resize, *_base_.test_pipeline[1:]]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
