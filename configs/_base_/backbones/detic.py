"""Parts of Detic's CenterNet2: backbones with the channels of their strides 8, 16 and 32; 22,047 classes."""

r18 = dict(depth=18)
r18_channels = [128, 256, 512]

swin_b = dict(
    _delete_=True,
    type='SwinTransformer',
    embed_dims=128,
    depths=(2, 2, 18, 2),
    num_heads=(4, 8, 16, 32),
    window_size=7,
    drop_path_rate=0.3,
    out_indices=(1, 2, 3),
)
swin_b_channels = [256, 512, 1024]

convnext_t = dict(_delete_=True, type='DeticConvNeXt', arch='tiny', out_indices=(1, 2, 3))
convnext_t_channels = [192, 384, 768]

#: LVIS's and ImageNet-21k's classes, 50 of which are drawn for each batch.
lvis_21k = dict(
    class_names=None,
    vocabularies=dict(lvis='data/embeddings/lvis_v1_clip_a+cname.npy'),
    dynamic_classifier=50,
    image_counts='data/embeddings/lvis_v1_train_cat_info.json',
    roi_head=dict(
        image_loss='max_size',
        bbox_head=dict(
            num_classes=22047,
            classifier=dict(embeddings='data/embeddings/lvis-21k_clip_a+cname.npy'),
            federated=0,
            image_counts=None,
        ),
    ),
)
