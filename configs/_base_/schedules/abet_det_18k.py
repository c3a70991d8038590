"""VOS's schedule on VOC: SGD, 18k iterations of 4 images, a short warm-up, steps at 12k and 16k."""

_base_ = ['../runtime_det_iterations.py']
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4)
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=18000, val_interval=6000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=18000, milestones=[12000, 16000], gamma=0.1),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)
