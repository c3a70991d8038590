"""SGD for 175 epochs, one image per GPU on eight, mixed precision; a stage adds its rate and schedule."""

_base_ = ['../runtime_sem_seg.py']
optim_wrapper = dict(
    type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4)
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=175, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True, interval=1, max_keep_ckpts=2)
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
