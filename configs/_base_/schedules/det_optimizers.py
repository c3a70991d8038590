"""What families of detectors change in the SGD recipe: optimizers, warm-ups and steps as named values."""

sgd_002 = dict(optimizer=dict(lr=0.02))
#: FCOS: lr 0.01, biases at twice the rate without decay.
sgd_fcos = dict(optimizer=dict(lr=0.01), paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0))
sgd_fcos_clip = dict(sgd_fcos, clip_grad=dict(max_norm=35, norm_type=2))
adamw_sparse = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2.5e-5, weight_decay=1e-4),
    clip_grad=dict(max_norm=1, norm_type=2),
)
adamw_pvt = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=1e-4))
adamw_swin = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys=dict(
            absolute_pos_embed=dict(decay_mult=0.0),
            relative_position_bias_table=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0),
        )
    ),
)
_amp = dict(type='AmpOptimWrapper', loss_scale=dict(init_scale=512))  # mixed precision
adamw_swin_amp = dict(adamw_swin, **_amp)
adamw_rsb = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
)


def _convnext(num_layers):
    return dict(
        _amp,
        constructor='LearningRateDecayOptimizerConstructor',
        optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
        paramwise_cfg=dict(decay_rate=0.95, decay_type='layer_wise', num_layers=num_layers),
    )


adamw_convnext_t, adamw_convnext = _convnext(6), _convnext(12)

batch_2 = dict(batch_size=2)  # images a GPU
batch_16 = dict(base_batch_size=16)  # images in all, eight GPUs


def _steps(epochs, milestones, warmup):
    steps = dict(type='MultiStepLR', by_epoch=True, begin=0, end=epochs, milestones=milestones, gamma=0.1)
    return [warmup, steps]


_linear_500 = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500)
_linear_1000 = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000)
_linear_third = dict(type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500)
_constant_third = dict(type='ConstantLR', factor=1 / 3, by_epoch=False, begin=0, end=500)
late_1x = _steps(12, [9, 11], _linear_1000)
late_3x = _steps(36, [27, 33], _linear_1000)
sparse_3x = _steps(36, [27, 33], _linear_500)
fcos_1x = _steps(12, [8, 11], _constant_third)
fcos_3x = _steps(36, [24, 33], _constant_third)
fcos_tricks_1x = _steps(12, [8, 11], _linear_third)
pan_seg_5x = _steps(60, [40, 55], _linear_500)
