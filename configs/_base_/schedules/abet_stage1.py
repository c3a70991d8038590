"""First stage: 65 classes from an ImageNet trunk, image-weighted loss, poly, until mIoU 50."""

_base_ = ['./abet_175e.py']
stage = dict(
    data_preprocessor=dict(seg_pad_val=65),
    decode_head=dict(
        num_classes=65,
        ignore_index=65,
        loss_decode=dict(_delete_=True, type='ImageWeightedLoss', wt_bound=6.0),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=2e-2))
param_scheduler = [dict(type='PolyLR', power=1.0, eta_min=0, begin=0, end=175, by_epoch=True)]
# the trunk: convert.py wrn38 wider_resnet38.pth.tar weights/wrn38_imagenet.pth
custom_hooks = [
    dict(type='SnapshotTransferHook', checkpoint='weights/wrn38_imagenet.pth', prefix='backbone.'),
    dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=175, stopping_threshold=50.0),
]
