"""AbeT's and NVIDIA's DeepLabV3+ with WideResNet38: training snapshots, evaluation networks, ImageNet trunks.

Training saves ``module.underlying_model.*`` beside ``module.temperature.*``, the evaluation
network calls itself ``underlying_model.module.*``, the baseline ``module.*``.
"""

CONFIG = 'abet_deepv3plus_wrn38_cityscapes'

RULES = [
    (r'\bmodule\.', ''),
    (r'^underlying_model\.', ''),
    # the ImageNet classifier's layers, which the segmentation network does not use
    (r'^(bn_out|classifier)\.', None),
    (r'^mod1\.conv1\.', 'backbone.stem.'),
    # blocks count from 1 there
    *[(rf'^mod(\d)\.block{b}\.', rf'backbone.stage\1.{b - 1}.') for b in range(1, 7)],
    (r'^(backbone\.stage\d\.\d\.)bn1\.0\.', r'\1norm1.'),
    (r'^(backbone\.stage\d\.\d\.)convs\.bn(\d)\.0\.', r'\1norm\2.'),
    (r'^(backbone\.stage\d\.\d\.)convs\.(conv\d)\.', r'\1\2.'),
    (r'^(backbone\.stage\d\.\d\.)proj_conv\.', r'\1downsample.'),
    (r'^aspp\.img_conv\.0\.', 'decode_head.image_pool.conv.'),
    (r'^aspp\.img_conv\.1\.', 'decode_head.image_pool.bn.'),
    (r'^aspp\.features\.(\d)\.0\.', r'decode_head.aspp.\1.conv.'),
    (r'^aspp\.features\.(\d)\.1\.', r'decode_head.aspp.\1.bn.'),
    (r'^bot_aspp\.', 'decode_head.aspp_proj.'),
    (r'^bot_fine\.', 'decode_head.skip_proj.'),
    (r'^final\.0\.', 'decode_head.fuse.0.conv.'),
    (r'^final\.1\.', 'decode_head.fuse.0.bn.'),
    (r'^final\.3\.', 'decode_head.fuse.1.conv.'),
    (r'^final\.4\.', 'decode_head.fuse.1.bn.'),
    (r'^final\.6\.', 'decode_head.conv_seg.'),
    (r'^h\.h\.', 'decode_head.temperature.cosine.'),
    (r'^temperature\.0\.', 'decode_head.temperature.conv.'),
    (r'^temperature\.1\.', 'decode_head.temperature.bn.'),
]
