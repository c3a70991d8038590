"""WideResNet38-A2, the trunk of NVIDIA's DeepLabV3+ and of AbeT's segmentation models.

Architecture: Wu et al., "Wider or Deeper: Revisiting the ResNet Model for
Visual Recognition" (arXiv 1611.10080), model A2, with the dilations of
DeepLabV3+ (output stride 8).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.utils.checkpoint
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

#: Per stage: blocks, channels of a block's convolutions, dilation, stride of the first block, dropout.
STAGES = (
    (3, (128, 128), 1, 1, 0.0),
    (3, (256, 256), 1, 1, 0.0),
    (6, (512, 512), 1, 2, 0.0),
    (3, (512, 1024), 2, 1, 0.0),
    (1, (512, 1024, 2048), 4, 1, 0.3),
    (1, (1024, 2048, 4096), 4, 1, 0.5),
)


class PreActBlock(nn.Module):
    """A pre-activation residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 with three widths.

    The shortcut is a 1x1 convolution of the activated input where the shape
    changes, and the raw input elsewhere.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        dilation: int,
        stride: int,
        dropout: float,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        bottleneck = len(channels) == 3
        self.num_convs = len(channels)
        inputs = (in_channels, *channels[:-1])
        for i, (width_in, width) in enumerate(zip(inputs, channels, strict=True), 1):
            kernel = 1 if bottleneck and i != 2 else 3
            conv = nn.Conv2d(
                width_in,
                width,
                kernel,
                stride=stride if i == 1 else 1,
                padding=dilation * (kernel // 2),
                dilation=dilation if kernel == 3 else 1,
                bias=False,
            )
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, width_in)[1])
            self.add_module(f'conv{i}', conv)
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != channels[-1]:
            self.downsample = nn.Conv2d(in_channels, channels[-1], 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        for i in range(2, self.num_convs + 1):
            out = self.relu(getattr(self, f'norm{i}')(out))
            if i == self.num_convs:
                out = self.dropout(out)
            out = getattr(self, f'conv{i}')(out)
        return out + shortcut


@MODELS.register_module()
class WideResNet38(BaseModule):
    """WideResNet38-A2 with output stride 8 and no final normalization.

    Args:
        in_channels: Channels of the image.
        width: Factor of every width (1 is the published network; smaller ones
            serve small data sets and tests).
        depths: Blocks per stage; ``None`` takes the published 3-3-6-3-1-1.
        out_indices: The stages to return, 1 to 7 (1 is the stem).
        norm_cfg: Normalization of the blocks.
        with_cp: Recompute the blocks' activations in the backward pass, to save memory.
        init_cfg: Initialization; the default is Kaiming.

    Input: (N, in_channels, H, W). Output: a tuple with the asked stages' maps;
    strides 1, 2, 4, 8, 8, 8, 8 and channels 64, 128, 256, 512, 1024, 2048, 4096
    times ``width``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: float = 1.0,
        depths: Sequence[int] | None = None,
        out_indices: Sequence[int] = (2, 7),
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        norm_cfg = norm_cfg or dict(type='BN')
        bad = [i for i in out_indices if i not in range(1, 8)]
        if bad:
            raise ValueError(f'out_indices holds {bad}; the stages are 1 to 7')
        self.out_indices = tuple(out_indices)
        self.with_cp = with_cp
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = round(64 * width)
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        depths = depths or [stage[0] for stage in STAGES]
        for number, (depth, stage) in enumerate(zip(depths, STAGES, strict=True), 2):
            _, widths, dilation, stride, dropout = stage
            widths = [round(w * width) for w in widths]
            blocks = nn.ModuleList()
            for block in range(depth):
                blocks.append(
                    PreActBlock(channels, widths, dilation, 1 if block else stride, dropout, norm_cfg)
                )
                channels = widths[-1]
            self.add_module(f'stage{number}', blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the maps of ``out_indices``, in the order of the stages."""
        outs = []
        x = self.stem(x)
        if 1 in self.out_indices:
            outs.append(x)
        for number in range(2, max(self.out_indices) + 1):
            if number <= 3:
                x = self.pool(x)
            for block in getattr(self, f'stage{number}'):
                if self.with_cp and self.training:
                    x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
                else:
                    x = block(x)
            if number in self.out_indices:
                outs.append(x)
        return tuple(outs)
