"""MM-Grounding-DINO (https://arxiv.org/abs/2401.02361), Swin-T: the ten classes of BDD100K by their words, untrained on it."""

_base_ = ['_base_/dino.py', '../_base_/backbones/swin.py']
custom_imports = dict(imports=['mmroad.detic.grounding_dino'], allow_failed_imports=False)
text_layers = dict(
    text_layer_cfg=dict(
        self_attn_cfg=dict(num_heads=4, embed_dims=256, dropout=0.0),
        ffn_cfg=dict(embed_dims=256, feedforward_channels=1024, ffn_drop=0.0),
    ),
    fusion_layer_cfg=dict(v_dim=256, l_dim=256, embed_dim=1024, num_heads=4, init_values=1e-4),
)
model = dict(
    type='WordsGroundingDINO',
    words=dict(
        pedestrian='person',
        rider='rider',
        car='car',
        truck='truck',
        bus='bus',
        train='train',
        motorcycle='motorcycle',
        bicycle='bicycle',
        **{'traffic light': 'traffic light', 'traffic sign': 'traffic sign'},
    ),
    data_preprocessor=dict(pad_size_divisor=1),
    language_model=dict(type='FolderBert', name='data/bert-base-uncased'),
    backbone=dict(_base_.swin_t, out_indices=(1, 2, 3)),
    neck=dict(in_channels=[192, 384, 768], bias=True),
    encoder=dict(**text_layers),
    decoder=dict(
        layer_cfg=dict(
            cross_attn_text_cfg=dict(embed_dims=256, num_heads=8, dropout=0.0),
            cross_attn_cfg=dict(_delete_=True, embed_dims=256, num_heads=8, dropout=0.0),
        )
    ),
    bbox_head=dict(
        type='GroundingDINOHead',
        num_classes=256,
        contrastive_cfg=dict(max_text_len=256, log_scale='auto', bias=True),
    ),
    train_cfg=None,
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='FixScaleResize', scale=(800, 1333), keep_ratio=True, backend='pillow'),
    dict(type='FastPackDetInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(setup=dict(check_classes=False))
