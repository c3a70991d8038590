"""Mask2Former checkpoints (detectron2, facebookresearch/Mask2Former and its descendants)."""

from __future__ import annotations

import re

from torch import Tensor

from ._detectron2 import RESNET, SWIN, deep_stem

PIXEL_DECODER = [
    (
        r'^decode_head\.pixel_decoder\.input_proj\.(\d+)\.0\.',
        r'decode_head.pixel_decoder.input_convs.\1.conv.',
    ),
    (r'^decode_head\.pixel_decoder\.input_proj\.(\d+)\.1\.', r'decode_head.pixel_decoder.input_convs.\1.gn.'),
    (r'\.pixel_decoder\.transformer\.level_embed$', '.pixel_decoder.level_encoding.weight'),
    (r'\.pixel_decoder\.transformer\.encoder\.', '.pixel_decoder.encoder.'),
    (r'(\.pixel_decoder\.encoder\.layers\.\d+\.)linear1\.', r'\1ffn.layers.0.0.'),
    (r'(\.pixel_decoder\.encoder\.layers\.\d+\.)linear2\.', r'\1ffn.layers.1.'),
    (r'(\.pixel_decoder\.encoder\.layers\.\d+\.)norm1\.', r'\1norms.0.'),
    (r'(\.pixel_decoder\.encoder\.layers\.\d+\.)norm2\.', r'\1norms.1.'),
    (r'\.pixel_decoder\.mask_features\.', '.pixel_decoder.mask_feature.'),
    *[(rf'\.pixel_decoder\.adapter_{i}\.', f'.pixel_decoder.lateral_convs.{i - 1}.') for i in (1, 2, 3)],
    *[(rf'\.pixel_decoder\.layer_{i}\.', f'.pixel_decoder.output_convs.{i - 1}.') for i in (1, 2, 3)],
    (r'(\.pixel_decoder\.(?:lateral|output)_convs\.\d+\.)norm\.', r'\1gn.'),
    (r'(\.pixel_decoder\.(?:lateral|output)_convs\.\d+\.)(weight|bias)$', r'\1conv.\2'),
]

PREDICTOR = [
    (r'\.predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.', r'.L\1.cross_attn.attn.'),
    (r'\.predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.', r'.L\1.norms.0.'),
    (r'\.predictor\.transformer_self_attention_layers\.(\d+)\.self_attn\.', r'.L\1.self_attn.attn.'),
    (r'\.predictor\.transformer_self_attention_layers\.(\d+)\.norm\.', r'.L\1.norms.1.'),
    (r'\.predictor\.transformer_ffn_layers\.(\d+)\.linear1\.', r'.L\1.ffn.layers.0.0.'),
    (r'\.predictor\.transformer_ffn_layers\.(\d+)\.linear2\.', r'.L\1.ffn.layers.1.'),
    (r'\.predictor\.transformer_ffn_layers\.(\d+)\.norm\.', r'.L\1.norms.2.'),
    (r'\.L(\d+)\.', r'.transformer_decoder.layers.\1.'),
    (r'\.predictor\.decoder_norm\.', '.transformer_decoder.post_norm.'),
    (r'\.predictor\.(query_feat|query_embed|level_embed)\.', r'.\1.'),
    (r'\.predictor\.class_embed\.', '.cls_embed.'),
    *[(rf'\.predictor\.mask_embed\.layers\.{i}\.', f'.mask_embed.{2 * i}.') for i in range(3)],
    (r'\.predictor\.input_proj\.', '.decoder_input_projs.'),
]

RULES = [
    (r'^criterion\.', None),
    (r'^sem_seg_head\.', 'decode_head.'),
    *SWIN,
    *RESNET,
    *PIXEL_DECODER,
    *PREDICTOR,
]


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring old key styles to the present one: they have the pixel decoder's parameters right under
    ``sem_seg_head.`` and call the query features ``static_query``."""
    head = re.compile(r'^sem_seg_head\.(?!predictor\.|pixel_decoder\.)')
    return {
        head.sub('sem_seg_head.pixel_decoder.', k).replace('.static_query.', '.query_feat.'): v
        for k, v in deep_stem(state).items()
    }
