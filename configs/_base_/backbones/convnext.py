"""ConvNeXt backbones (mmpretrain's), with the channels of their stages. Drop path is the detector's."""

_common = dict(
    _delete_=True,
    type='mmpretrain.ConvNeXt',
    out_indices=[0, 1, 2, 3],
    layer_scale_init_value=1.0,
    gap_before_final_norm=False,
)
_in1k = 'imagenet://convnext-{}_3rdparty_32xb128-noema_in1k_{}.pth'
convnext_t = dict(
    **_common,
    arch='tiny',
    init_cfg=dict(
        type='Pretrained', checkpoint=_in1k.format('tiny', '20220301-795e9634'), prefix='backbone.'
    ),
)
convnext_s = dict(
    **_common,
    arch='small',
    init_cfg=dict(
        type='Pretrained', checkpoint=_in1k.format('small', '20220301-303e75e3'), prefix='backbone.'
    ),
)
convnext_b = dict(
    **_common,
    arch='base',
    init_cfg=dict(
        type='Pretrained', checkpoint=_in1k.format('base', '20220301-2a0ee547'), prefix='backbone.'
    ),
)
#: The same, pretrained on ImageNet-21k.
convnext_b_21k = dict(
    convnext_b,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='imagenet://convnext-base_in21k-pre-3rdparty_32xb128_in1k_20220124-eb2d6ada.pth',
        prefix='backbone.',
    ),
)
convnext_channels = [96, 192, 384, 768]
convnext_b_channels = [128, 256, 512, 1024]
convnext_imports = dict(imports=['mmroad.bdd100k.det', 'mmroad.runtime.convnext'], allow_failed_imports=False)
convnext_seg_imports = dict(
    imports=['mmroad.bdd100k.sem_seg', 'mmroad.runtime.convnext'], allow_failed_imports=False
)
