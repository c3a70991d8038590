"""ConvNeXt as Detic's real-time models trained it (timm 0.5.4)."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..runtime.convnext import ConvNeXt


class UnbiasedLayerNorm2d(nn.LayerNorm):
    """Channel norm that divides by C - 1, as timm 0.5.4 does where its input is not contiguous.

    Before each downsampling it never is, so the published weights were trained with it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        var, mean = torch.var_mean(x, dim=1, keepdim=True)
        x = (x - mean) * torch.rsqrt(var + self.eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


@MODELS.register_module()
class DeticConvNeXt(ConvNeXt):
    """mmpretrain's ConvNeXt without output norms, with timm 0.5.4's norm before each downsampling."""

    def __init__(self, **kwargs) -> None:
        super().__init__(gap_before_final_norm=False, **kwargs)
        for i in self.out_indices:
            setattr(self, f'norm{i}', nn.Identity())
        for layer in self.downsample_layers[1:]:
            old = layer[0]
            layer[0] = UnbiasedLayerNorm2d(old.normalized_shape, eps=old.eps)
