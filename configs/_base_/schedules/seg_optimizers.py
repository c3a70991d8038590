"""The optimizers of segmentors: SGD, and as named values what transformers and ConvNeXt change."""

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
)
_adamw = dict(_delete_=True, type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01)


def _without_decay(*names):
    return dict(
        optimizer=_adamw, paramwise_cfg=dict(custom_keys={name: dict(decay_mult=0.0) for name in names})
    )


_amp_seg = dict(type='AmpOptimWrapper', loss_scale='dynamic')
adamw_swin_seg = _without_decay('absolute_pos_embed', 'relative_position_bias_table', 'norm')
adamw_swin_seg_amp = dict(adamw_swin_seg, **_amp_seg)
adamw_vit = _without_decay('pos_embed', 'cls_token', 'norm')
adamw_convnext_seg = dict(
    _amp_seg,
    constructor='LearningRateDecayOptimizerConstructor',
    optimizer=dict(_adamw, lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(decay_rate=0.9, decay_type='stage_wise', num_layers=6),
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
