"""SAFE's training: five epochs of SGD, 32 images a step, the images as they are tested. The detector does not change."""

safe_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
safe_train_pipeline = [
    *safe_load,
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='PackDetInputs'),
]
safe_sampler = dict(type='DefaultSampler')  # an epoch ends
safe_optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9),
    accumulative_counts=2,  # of 16 images
)
safe_train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=5, val_interval=5)
safe_checkpoint = dict(by_epoch=True, interval=1)
