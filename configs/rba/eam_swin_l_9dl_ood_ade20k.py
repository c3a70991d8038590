"""EAM fine-tuned with pasted pixels of ADE20K, which no mask may cover."""

_base_ = ['./eam_swin_l_9dl_map_cityscapes.py', '../_base_/datasets/anomaly.py']
paste = dict(
    type='PasteNegatives',
    img_dir='data/ade/ADEChallengeData2016/images/training',
    mask_dir='data/ade/ADEChallengeData2016/annotations/training',
    sides=(96, 384),
)
mapillary_pipeline = [_base_.load, _base_.load_mapillary, paste, *_base_.augmentation]
cityscapes_pipeline = [_base_.load, _base_.load_labels, paste, *_base_.augmentation]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.mapillary, pipeline=mapillary_pipeline),
            dict(_base_.cityscapes, pipeline=cityscapes_pipeline),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
max_iters = 2000
train_cfg = dict(max_iters=max_iters, val_interval=1000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=max_iters, by_epoch=False)]
load_from = 'checkpoints/eam_swin_l_9dl_map_cityscapes.pth'
load, *rest = _base_.anomaly_test_set['pipeline']
test_dataloader = dict(dataset=dict(_base_.anomaly_test_set, pipeline=[load, _base_.resize, *rest]))
test_evaluator = _base_.anomaly_metric
visualizer = _base_.anomaly_visualizer
