"""Mask2Former checkpoints (detectron2, facebookresearch/Mask2Former and its descendants): semantic, panoptic
and video models. The head's name and, of ADE20K's panoptic models, the order of classes are the model's.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

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


#: Parameters of a head with a row for each class, by the axis of the rows.
CLASS_ROWS = {'cls_embed.weight': 0, 'cls_embed.bias': 0}


def fit(
    state: dict[str, Tensor], model: nn.Module, class_rows: dict[str, int] = CLASS_ROWS
) -> dict[str, Tensor]:
    """Name the head as the model does, and bring ADE20K's classes to the order of panoptic models."""
    for head in ('panoptic_head', 'track_head'):
        if hasattr(model, head):
            state = {re.sub(r'^decode_head\.', f'{head}.', k): v for k, v in state.items()}
    if hasattr(model, 'panoptic_head') and model.panoptic_head.num_classes == 150:
        from ..mask2former.ade20k import CATEGORIES

        for name, axis in class_rows.items():
            key = f'panoptic_head.{name}'
            if key in state:
                rows = torch.tensor([*CATEGORIES, *range(150, state[key].shape[axis])])  # "no object" is last
                state[key] = state[key].index_select(axis, rows)
    return state
