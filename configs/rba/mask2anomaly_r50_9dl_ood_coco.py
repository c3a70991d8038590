"""Mask2Anomaly fine-tuned with COCO outliers by its mask contrastive loss, in batches of 8."""

_base_ = ['./mask2anomaly_r50_9dl_cityscapes.py', '../_base_/datasets/anomaly.py']
model = dict(decode_head=dict(pixel_losses=dict(outlier=dict(type='MaskContrastiveLoss'))))
paste = dict(
    type='PasteOutlier',
    img_dir='data/coco/train2017',
    mask_dir='data/coco/annotations/ood_seg_train2017',
    prob=0.2,
)
load_labels = dict(_base_.load_labels, ignored=(254, 255))  # 254: labeled outliers
train_pipeline = [_base_.load, load_labels, paste, *_base_.augmentation]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-5))
max_iters = 5000
train_cfg = dict(max_iters=max_iters, val_interval=500)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
auto_scale_lr = dict(base_batch_size=8)
load_from = 'checkpoints/mask2anomaly_r50_9dl_cityscapes.pth'
load, *rest = _base_.anomaly_test_set['pipeline']
test_dataloader = dict(dataset=dict(_base_.anomaly_test_set, pipeline=[load, _base_.resize, *rest]))
test_evaluator = _base_.anomaly_metric
visualizer = _base_.anomaly_visualizer
