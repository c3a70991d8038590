"""RbA Swin-B fine-tuned with COCO outliers (upstream: swin_b_1dl_rba_ood_coco)."""

_base_ = ['./rba_swin_b_1dl_cityscapes.py', '../_base_/datasets/anomaly.py']
paste = dict(
    type='PasteOutlier',
    img_dir='data/coco/train2017',
    mask_dir='data/coco/annotations/ood_seg_train2017',
    prob=0.1,
    num_objects=300,
)
load, load_labels, *augmentation = _base_.train_pipeline
load_labels = dict(load_labels, ignored=(254, 255))  # 254: labeled outliers
train_pipeline = [load, load_labels, paste, *augmentation]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    trainable=['cls_embed', 'mask_embed'],
    decode_head=dict(pixel_losses=dict(outlier=dict(type='OutlierLoss'))),
)
max_iters = 2000
train_cfg = dict(max_iters=max_iters, val_interval=500)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
load_from = 'checkpoints/rba_swin_b_1dl_cityscapes.pth'
test_dataloader = dict(dataset=_base_.anomaly_test_set)
test_evaluator = _base_.anomaly_metric
visualizer = _base_.anomaly_visualizer
