"""AdamW for 800 iterations: a small segmentation model on a CPU."""

_base_ = ['../runtime_sem_seg.py']
max_iters = 800
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    # a temperature has to fall from 0.5, and AdamW moves its shift by one learning rate a step at most
    paramwise_cfg=dict(custom_keys={'temperature.bn': dict(lr_mult=30.0)}),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=50, end=max_iters, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
