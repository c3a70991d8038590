"""Detic's recipes as named values; CenterNet2's R (90k iterations, batch 64) by default."""


def _cosine(iters, warmup, factor):
    return [
        dict(type='LinearLR', start_factor=factor, by_epoch=False, begin=0, end=warmup),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iters, T_max=iters, eta_min=0),
    ]


r_90k, s_180k = _cosine(90000, 10000, 1e-4), _cosine(180000, 10000, 1e-4)
r_90k_ft, s_180k_ft = _cosine(90000, 1000, 1e-3), _cosine(180000, 1000, 1e-3)
loop_180k = dict(max_iters=180000)
lr_1e4 = dict(optimizer=dict(lr=1e-4))

train_cfg = dict(type='IterBasedTrainLoop', max_iters=90000, val_interval=90000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = r_90k
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    clip_grad=dict(type='value', clip_value=1.0),
)
sgd = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
)
sgd_90k = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=90000, milestones=[60000, 80000], gamma=0.1),
]
adamw_detr = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'sampling_offsets': dict(lr_mult=0.1),
            'reference_points': dict(lr_mult=0.1),
        }
    ),
)
detr_180k = [dict(type='MultiStepLR', by_epoch=False, begin=0, end=180000, milestones=[150000], gamma=0.1)]
auto_scale_lr = dict(enable=False, base_batch_size=64)
