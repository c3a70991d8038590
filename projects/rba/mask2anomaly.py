"""Mask2Anomaly (https://arxiv.org/abs/2307.13316): global masked attention. Its loss is `losses.MaskContrastiveLoss`,
its score `scores.mask2anomaly`.
"""

from __future__ import annotations

from typing import Any

from mmcv.cnn.bricks.transformer import MultiheadAttention
from mmdet.models.layers.transformer import Mask2FormerTransformerDecoderLayer
from mmseg.registry import MODELS
from torch import Tensor, nn

from .head import RbAHead


class GlobalMaskedAttentionLayer(Mask2FormerTransformerDecoderLayer):
    """A decoder layer whose queries also attend, by weights of their own, to what their masks leave out; both results
    are added. A query whose mask covers all, or nothing, attends to all in place of nothing."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.background_attn = MultiheadAttention(**self.cross_attn_cfg)

    def forward(self, query: Tensor, cross_attn_mask: Tensor, **kwargs: Any) -> Tensor:
        """As the base class; ``cross_attn_mask`` is true where a query does not attend."""
        outside = ~cross_attn_mask
        outside = outside & ~outside.all(-1, keepdim=True)
        keys = {name: kwargs[name] for name in ('key', 'value', 'query_pos', 'key_pos', 'key_padding_mask')}
        background = self.background_attn(query=query, attn_mask=outside, **keys) - query
        query = self.cross_attn(query=query, attn_mask=cross_attn_mask, **keys) + background
        query = self.norms[0](query)
        query_pos = keys['query_pos']
        query = self.self_attn(query=query, key=query, value=query, query_pos=query_pos, key_pos=query_pos)
        return self.norms[2](self.ffn(self.norms[1](query)))


@MODELS.register_module()
class Mask2AnomalyHead(RbAHead):
    """`RbAHead` whose decoder has `GlobalMaskedAttentionLayer`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        decoder = self.transformer_decoder
        layers = [GlobalMaskedAttentionLayer(**decoder.layer_cfg) for _ in decoder.layers]
        decoder.layers = nn.ModuleList(layers)
