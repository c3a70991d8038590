"""Second stage: from a Mapillary snapshot, relaxed borders until epoch 100, scl-poly, until mIoU 80."""

_base_ = ['./abet_175e.py']
param_scheduler = [
    dict(
        type='SclPolyLR',
        max_epochs=175,
        restart=100,
        power=1.0,
        rescale=1.0,
        restart_power=1.5,
        by_epoch=True,
    )
]
# a leaf puts in the snapshot that it starts from
snapshot_transfer = dict(type='SnapshotTransferHook')
stage_hooks = [
    dict(type='BorderRelaxationHook', off_epoch=100),
    dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=175, stopping_threshold=80.0),
]
