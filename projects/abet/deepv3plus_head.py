"""DeepLabV3+'s decoder as NVIDIA's semantic segmentation code and AbeT have it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DeepWV3PlusHead(BaseDecodeHead):
    """ASPP at stride 8 (image pool, 1x1 and three dilated 3x3) fused with a stride-2 skip.

    Differs from mmseg's ``DepthwiseSeparableASPPHead``: full convolutions, the
    image pool first, projections without activation, a decoder at stride 2.

    Args:
        in_channels: Channels of the skip (stride 2) and of the trunk (stride 8).
        channels: Width of the ASPP branches and of the decoder (256 published).
        skip_channels: Width of the projected skip (48 published).
        dilations: Dilations of the 3x3 branches.
        kwargs: See mmseg's ``BaseDecodeHead``.

    Input: two maps. Output: (N, num_classes, H / 2, W / 2).
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (128, 4096),
        channels: int = 256,
        skip_channels: int = 48,
        dilations: Sequence[int] = (12, 24, 36),
        in_index: Sequence[int] = (0, 1),
        align_corners: bool = True,
        dropout_ratio: float = 0,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        init_cfg = init_cfg or dict(type='Kaiming', layer='Conv2d', mode='fan_in')
        super().__init__(
            list(in_channels),
            channels,
            in_index=list(in_index),
            input_transform='multiple_select',
            align_corners=align_corners,
            dropout_ratio=dropout_ratio,
            init_cfg=init_cfg,
            **kwargs,
        )
        norm = dict(norm_cfg=self.norm_cfg or dict(type='BN'), act_cfg=self.act_cfg)
        fine, coarse = self.in_channels
        self.image_pool = ConvModule(coarse, channels, 1, **norm)
        self.aspp = nn.ModuleList([ConvModule(coarse, channels, 1, **norm)])
        for dilation in dilations:
            self.aspp.append(ConvModule(coarse, channels, 3, padding=dilation, dilation=dilation, **norm))
        self.aspp_proj = nn.Conv2d(channels * (len(dilations) + 2), channels, 1, bias=False)
        self.skip_proj = nn.Conv2d(fine, skip_channels, 1, bias=False)
        self.fuse = nn.Sequential(
            ConvModule(skip_channels + channels, channels, 3, padding=1, **norm),
            ConvModule(channels, channels, 3, padding=1, **norm),
        )
        self.conv_seg = nn.Conv2d(channels, self.out_channels, 1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Class logits (N, num_classes, h, w) at the resolution of the skip."""
        fine, coarse = self._transform_inputs(inputs)
        # the mean in place of adaptive pooling: the same value, and it traces
        pooled = self.image_pool(coarse.mean((2, 3), keepdim=True)).expand(-1, -1, *coarse.shape[2:])
        x = torch.cat([pooled, *(branch(coarse) for branch in self.aspp)], 1)
        x = F.interpolate(
            self.aspp_proj(x), fine.shape[2:], mode='bilinear', align_corners=self.align_corners
        )
        return self.cls_seg(self.fuse(torch.cat([self.skip_proj(fine), x], 1)))
