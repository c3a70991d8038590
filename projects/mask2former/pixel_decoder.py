"""The deformable pixel decoder, right for any number of encoder levels."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.transformer import MultiScaleDeformableAttention
from mmdet.models.layers import MSDeformAttnPixelDecoder
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor, nn


@MODELS.register_module()
class Mask2FormerPixelDecoder(MSDeformAttnPixelDecoder):
    """mmdet's pixel decoder with three differences, all as published.

    - Its FPN convolutions are stored by backbone level: ``lateral_convs[i]`` takes ``feats[i]``. mmdet
      builds them from low to high resolution and uses them by level, which only agrees where a single
      level skips the encoder (three encoder levels); RbA's models have three such levels.
    - It computes in float32 under autocast.
    - The encoder starts from Xavier's uniform distribution.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.lateral_convs = ModuleList(reversed(self.lateral_convs))
        self.output_convs = ModuleList(reversed(self.output_convs))

    def init_weights(self) -> None:
        super().init_weights()
        xavier_uniform(self.encoder)
        for module in self.encoder.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.init_weights()

    def forward(self, feats: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decode backbone features.

        Args:
            feats: One (B, C, H, W) per level, from high to low resolution.

        Returns:
            The mask features (B, C, H/4, W/4) and the encoder's outputs from low to high resolution,
            float32.
        """
        with torch.autocast(feats[0].device.type, enabled=False):
            return super().forward([feat.float() for feat in feats])


def xavier_uniform(module: nn.Module) -> None:
    """Initialize all matrices of a module as the published code does."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
