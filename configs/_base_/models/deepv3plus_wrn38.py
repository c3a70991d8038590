"""NVIDIA's DeepLabV3+ with WideResNet38, the baseline; ``abet`` is what the learned temperature changes."""

custom_imports = dict(imports=['mmroad.abet', 'mmroad.bdd100k.sem_seg'], allow_failed_imports=False)
norm_cfg = dict(type='SyncBN', requires_grad=True)
abet = dict(
    decode_head=dict(temperature=dict(type='LearnedTemperature')),
    test_cfg=dict(scores=['abet', 'entropy', 'msp', 'max_logit', 'godin']),
)
model = dict(
    type='AbeTSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(type='WideResNet38', norm_cfg=norm_cfg),
    decode_head=dict(
        type='DeepWV3PlusHead',
        num_classes=19,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='JointWeightedBorderLoss', wt_bound=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', scores=['max_logit', 'entropy', 'msp']),
)
