"""ResNet backbones: ImageNet weights of torchvision and of ResNet Strikes Back, and deformable ones."""

r50 = dict(
    type='ResNet',
    depth=50,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    style='pytorch',
    init_cfg=dict(type='Pretrained', checkpoint='imagenet://resnet50-0676ba61.pth'),
)
r101 = dict(depth=101, init_cfg=dict(checkpoint='imagenet://resnet101-63fe2227.pth'))

#: Deformable convolutions (version 1) in stages c3 to c5.
dconv = dict(
    dcn=dict(type='DCN', deform_groups=1, fallback_on_stride=False), stage_with_dcn=(False, True, True, True)
)
r101_dconv = dict(r101, **dconv)

#: Global context blocks (GCNet) after the last convolution in stages c3 to c5.
gcb = dict(
    plugins=[
        dict(
            cfg=dict(type='ContextBlock', ratio=1 / 4),
            stages=(False, True, True, True),
            position='after_conv3',
        )
    ]
)
r101_gcb = dict(r101, **gcb)

#: Weights of "ResNet strikes back" (recipe A1, 600 epochs).
rsb = dict(
    init_cfg=dict(
        checkpoint='imagenet://resnet50_8xb256-rsb-a1-600e_in1k_20211228-20e21305.pth', prefix='backbone.'
    )
)
