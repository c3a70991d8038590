"""AdamW for 800 iterations: a small detector on a CPU."""

_base_ = ['../runtime_det_iterations.py']
max_iters = 800
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=5, norm_type=2),
    # a temperature has to fall from 0.5, and AdamW moves its shift by one learning rate a step at most
    paramwise_cfg=dict(custom_keys={'fc_cls.bn': dict(lr_mult=30.0)}),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, begin=50, end=max_iters),
]
default_hooks = dict(setup=dict(type='DetSetupHook'), checkpoint=dict(interval=max_iters))
