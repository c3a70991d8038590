"""Convolutions for inference on a CPU: batch normalization folded into them, 1 x 1 ones by oneDNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def fold_batch_norm(model: nn.Module) -> int:
    """Scale convolutions by the batch normalization that follows them, which then does nothing.

    The pairs are those of ``nn.Sequential``, mmcv's ``ConvModule``, and mmdet's and mmseg's ResNets, each of which
    computes them in this order. A convolution or norm that several places share is left alone. Outputs change by
    rounding. The model cannot be trained afterwards, and its state dict no longer fits its checkpoints.

    Returns:
        How many were folded.

    Raises:
        ValueError: The model is in training mode, in which a norm uses its batch.
    """
    if any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        raise ValueError('batch normalization is folded for inference: call model.eval() first')
    owners = Counter(id(child) for module in model.modules() for child in module._modules.values())
    count = 0
    for block in list(model.modules()):
        for first, second in list(_pairs(block)):
            conv, norm = block._modules[first], block._modules[second]
            plain = (
                type(conv).forward is nn.Conv2d.forward or type(conv).__module__ == 'mmcv.cnn.bricks.wrappers'
            )
            if not (isinstance(conv, nn.Conv2d) and plain and isinstance(norm, _BatchNorm)):
                continue
            if owners[id(conv)] > 1 or owners[id(norm)] > 1 or norm.running_mean is None:
                continue
            _fold(conv, norm)
            block._modules[second] = nn.Identity()
            count += 1
    return count


def is_plain(module: nn.Module) -> bool:
    """Whether this is torch's own two-dimensional convolution, or mmcv's, which differs for old torch alone."""
    own = type(module).forward is nn.Conv2d.forward or type(module).__module__ == 'mmcv.cnn.bricks.wrappers'
    return isinstance(module, nn.Conv2d) and own


def _pairs(block: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children that are computed one after the other, convolution and norm."""
    import mmdet.models.backbones.resnet as det
    import mmseg.models.backbones.resnet as seg
    from mmcv.cnn import ConvModule

    if isinstance(block, nn.Sequential):
        names = list(block._modules)
        yield from zip(names, names[1:])
    elif type(block) is ConvModule and block.with_norm:
        at = block.order.index('conv')
        if block.order[at + 1 : at + 2] == ('norm',) and not block.with_spectral_norm:
            yield 'conv', block.norm_name
    elif type(block) in (det.Bottleneck, seg.Bottleneck):
        yield from (('conv1', block.norm1_name), ('conv2', block.norm2_name), ('conv3', block.norm3_name))
    elif type(block) in (det.BasicBlock, seg.BasicBlock):
        yield from (('conv1', block.norm1_name), ('conv2', block.norm2_name))
    elif isinstance(block, (det.ResNet, seg.ResNet)) and not block.deep_stem:
        yield 'conv1', block.norm1_name


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: _BatchNorm) -> None:
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.double(), shift * norm.weight.double() + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    dtype, grad = conv.weight.dtype, conv.weight.requires_grad
    weight = conv.weight.double() * scale[:, None, None, None]
    conv.weight = nn.Parameter(weight.to(dtype), requires_grad=grad)
    conv.bias = nn.Parameter(shift.to(dtype), requires_grad=grad)


class PointConv2d(nn.Conv2d):
    """A 1 x 1 convolution that a CPU always computes by oneDNN. With one thread torch takes a matrix product, which
    copies channels-last maps to and fro and is slower by half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        plain = (
            x.device.type == 'cpu'
            and x.dtype == self.weight.dtype == torch.float32
            and x.numel()
            and x.ndim == 4
        )
        if not plain or torch.is_autocast_enabled('cpu') or torch.jit.is_tracing():
            return super().forward(x)
        options = (self.padding, self.stride, self.dilation, self.groups)
        return torch.mkldnn_convolution(x, self.weight, self.bias, *options)


def use_point_convolutions(model: nn.Module) -> None:
    """Make 1 x 1 convolutions `PointConv2d`, where torch has oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        if is_plain(module) and module.kernel_size == (1, 1):
            if module.padding_mode == 'zeros' and not isinstance(module.padding, str):
                module.__class__ = PointConv2d
