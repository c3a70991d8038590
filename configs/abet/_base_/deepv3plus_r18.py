"""A small DeepLabV3+ (half-width ResNet-18, output stride 16) that trains on a CPU in minutes."""
custom_imports = dict(imports=['mmroad.abet', 'mmroad.bdd100k.sem_seg'], allow_failed_imports=False)
norm_cfg = dict(type='BN', requires_grad=True)
abet = dict(
    decode_head=dict(temperature=dict(type='LearnedTemperature')),
    test_cfg=dict(scores=['abet', 'entropy', 'msp', 'max_logit', 'godin']))
model = dict(
    type='AbeTSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        out_indices=(0, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='DeepWV3PlusHead',
        in_channels=(32, 256),
        channels=48,
        skip_channels=16,
        dilations=(2, 4, 6),
        num_classes=19,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', scores=['max_logit', 'entropy', 'msp']))
