"""ResNetV1c of segmentors (three 3x3 convolutions in the stem), every layer trained, norms over all GPUs."""

r50_d8 = dict(  # features of the last two stages at an eighth of the image's size
    type='ResNetV1c',
    depth=50,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    dilations=(1, 1, 2, 4),
    strides=(1, 2, 1, 1),
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    norm_eval=False,
    style='pytorch',
    contract_dilation=True,
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://resnet50_v1c-2cccc1ad.pth'),
)
r50_d32 = dict(dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2))
r101_v1c = dict(depth=101, init_cfg=dict(checkpoint='imagenet://resnet101_v1c-e67eebb6.pth'))
