"""Detic's checkpoints (detectron2): CenterNet2 with each backbone, ResNet-50 C4 and Deformable DETR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ._detectron2 import RESNET, SWIN

CONVNEXT = [
    (r'^backbone\.stem_(\d)\.', r'backbone.downsample_layers.0.\1.'),
    (r'^backbone\.stages_(\d)\.downsample\.', r'backbone.downsample_layers.\1.'),
    (r'^backbone\.stages_(\d)\.blocks\.', r'backbone.stages.\1.'),
    (r'^(backbone\.stages\.\d+\.\d+\.)conv_dw\.', r'\1depthwise_conv.'),
    (r'^(backbone\.stages\.\d+\.\d+\.)mlp\.fc(\d)\.', r'\1pointwise_conv\2.'),
]

#: CenterNet2: FPN, proposal head, cascade.
C2 = [
    (r'^backbone\.fpn_lateral(\d)\.', lambda m: f'neck.lateral_convs.{int(m[1]) - 3}.conv.'),
    (r'^backbone\.fpn_output(\d)\.', lambda m: f'neck.fpn_convs.{int(m[1]) - 3}.conv.'),
    (r'^backbone\.top_block\.p(\d)\.', lambda m: f'neck.fpn_convs.{int(m[1]) - 3}.conv.'),
    (r'^backbone\.bottom_up\.(base\.)?', 'backbone.'),
    (r'^backbone\.fc\.', None),
    (
        r'^proposal_generator\.centernet_head\.bbox_tower\.(\d+)\.',
        lambda m: f'rpn_head.reg_convs.{int(m[1]) // 3}.{("conv", "gn")[int(m[1]) % 3]}.',
    ),
    (r'^proposal_generator\.centernet_head\.agn_hm\.', 'rpn_head.conv_cls.'),
    (r'^proposal_generator\.centernet_head\.bbox_pred\.', 'rpn_head.conv_reg.'),
    (r'^proposal_generator\.centernet_head\.(scales\.)', r'rpn_head.\1', lambda scale: scale.reshape(())),
    (
        r'^roi_heads\.box_head\.(\d)\.fc(\d)\.',
        lambda m: f'roi_head.bbox_head.{m[1]}.shared_fcs.{int(m[2]) - 1}.',
    ),
    (r'^roi_heads\.box_predictor\.(\d)\.', r'roi_head.bbox_head.\1.'),
    (r'^roi_heads\.mask_head\.mask_fcn(\d)\.', lambda m: f'roi_head.mask_head.convs.{int(m[1]) - 1}.conv.'),
    (r'^roi_heads\.mask_head\.deconv\.', 'roi_head.mask_head.upsample.'),
    (r'^roi_heads\.mask_head\.predictor\.', 'roi_head.mask_head.conv_logits.'),
]

#: ResNet-50 C4: proposal head, res5 as the shared head, one stage.
C4 = [
    (r'^proposal_generator\.rpn_head\.conv\.', 'rpn_head.rpn_conv.'),
    (r'^proposal_generator\.rpn_head\.objectness_logits\.', 'rpn_head.rpn_cls.'),
    (r'^proposal_generator\.rpn_head\.anchor_deltas\.', 'rpn_head.rpn_reg.'),
    (r'^proposal_generator\.anchor_generator\.', None),
    (r'^roi_heads\.box_predictor\.', 'roi_head.bbox_head.0.'),
    (r'^roi_heads\.(res5\.)', r'backbone.\1'),  # renamed with the backbone's, then moved
]

HEAD = [
    (r'^(roi_head\.bbox_head\.\d\.)cls_score\.', r'\1fc_cls.'),
    (r'^(roi_head\.bbox_head\.\d\.)bbox_pred\.', r'\1fc_reg.'),
]

DETR = [
    (r'^(?:detr\.)?criterion\.', None),
    (r'^detr\.transformer\.decoder\.(?:class|bbox)_embed\.', None),  # repeat the heads'
    (r'^detr\.backbone\.0\.backbone\.', 'backbone.'),
    (r'^detr\.input_proj\.(\d)\.(\d)\.', lambda m: _channel_mapper(int(m[1]), int(m[2]))),
    (r'^detr\.class_embed\.', 'bbox_head.cls_branches.'),
    (r'^detr\.bbox_embed\.(\d)\.layers\.(\d)\.', lambda m: f'bbox_head.reg_branches.{m[1]}.{2 * int(m[2])}.'),
    (r'^detr\.transformer\.level_embed$', 'level_embed'),
    (r'^detr\.transformer\.enc_output\.', 'memory_trans_fc.'),
    (r'^detr\.transformer\.enc_output_norm\.', 'memory_trans_norm.'),
    (r'^detr\.transformer\.pos_trans\.', 'pos_trans_fc.'),
    (r'^detr\.transformer\.pos_trans_norm\.', 'pos_trans_norm.'),
    (r'^detr\.transformer\.(encoder|decoder)\.', r'\1.'),
    (r'^(encoder\.layers\.\d+\.)norm(\d)\.', lambda m: f'{m[1]}norms.{int(m[2]) - 1}.'),
    (r'^(decoder\.layers\.\d+\.)norm(\d)\.', lambda m: f'{m[1]}norms.{(1, 0, 2)[int(m[2]) - 1]}.'),
    (r'^(decoder\.layers\.\d+\.self_attn)\.', r'\1.attn.'),
    (r'^((?:en|de)coder\.layers\.\d+\.)linear1\.', r'\1ffn.layers.0.0.'),
    (r'^((?:en|de)coder\.layers\.\d+\.)linear2\.', r'\1ffn.layers.1.'),
]


def _channel_mapper(level: int, part: int) -> str:
    name = ('conv', 'gn')[part]
    return f'neck.convs.{level}.{name}.' if level < 3 else f'neck.extra_convs.{level - 3}.{name}.'


RULES = [
    (r'^(pixel_mean|pixel_std)$', None),
    (r'^box_freq_weight$', None),
    *C2,
    *C4,
    *DETR,
    *CONVNEXT,
    *SWIN,
    *RESNET,
    (r'^backbone\.layer4\.(?=.*@c4$)', 'roi_head.shared_head.layer4.'),
    (r'@c4$', ''),
    *HEAD,
]


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mark C4's res5, which the ResNet's rules rename like the backbone's other stages."""
    return {f'{key}@c4' if key.startswith('roi_heads.res5.') else key: value for key, value in state.items()}


def meta(model: nn.Module, classes: str | Path | None) -> dict[str, Any]:
    """The names of the classifier's columns: those given (what ``read_names`` takes), else the config's."""
    from ..detic.vocabulary import read_names

    names = model.own_names() if classes is None else read_names(classes)
    if names is None:
        return {}
    head = model.bbox_head if hasattr(model, 'bbox_head') else model.roi_head
    if len(names) != head.num_classes:
        raise ValueError(f'{len(names)} class names for a classifier of {head.num_classes} classes')
    return dict(dataset_meta=dict(classes=names))
