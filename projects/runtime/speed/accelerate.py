"""Making a built model faster without changing what it computes by more than the precision asked for."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from .fold import fold_batch_norm, use_point_convolutions
from .operators import guard_operators
from .precision import cpu_has_bfloat16, each, heads_give_float32


def accelerate(
    model: nn.Module,
    *,
    fold: bool = False,
    channels_last: bool = False,
    amp: torch.dtype | None = None,
    compile: bool = False,
):
    """Prepare a detector or segmentor in place; without ``fold`` its state dict stays as it is.

    Args:
        model: A model with ``backbone`` and perhaps ``neck``.
        fold: For inference alone: batch normalization becomes part of the convolutions before it (`fold_batch_norm`),
            and with ``amp`` the weights are kept in that precision, in the place of a copy at every image.
        channels_last: Keep images and maps in channels-last memory, which convolutions like. What leaves backbone and
            neck is contiguous again but for detectors of one and two stages, whose heads are convolutions.
        amp: ``torch.bfloat16`` or ``torch.float16``: backbone, neck and heads compute in it where autocast says so.
            Regions are aligned, boxes decoded and suppressed in float32. None leaves the precision alone.
        compile: ``torch.compile`` backbone and neck, each anew for every size of images that comes; the first
            images take up to a minute.

    Returns:
        The model.
    """
    guard_operators()
    parts = (getattr(model, name, None) for name in ('backbone', 'neck'))
    body = [part for part in parts if isinstance(part, nn.Module)]
    if fold:
        fold_batch_norm(model)
        if channels_last:
            use_point_convolutions(model)
        if amp is not None:  # other heads turn autocast off in places
            for part in [model] if heads_are_convolutions(model) else body:
                keep_weights_in(part, amp)
    if channels_last:
        model.to(memory_format=torch.channels_last)
        channels_last_maps(model)
    if amp is not None:
        autocast_predictions(model, amp)
    if compile:
        for part in body:
            part.compile(dynamic=False)
    return model


def for_inference(model: nn.Module, amp: torch.dtype | None = None) -> nn.Module:
    """Make a built and loaded model as fast as its device allows, in place; it cannot be trained afterwards.

    On a CPU batch normalization is folded, and detectors of one and two stages run in channels-last memory: the same
    detections to rounding. On others nothing but ``amp`` changes anything.

    Args:
        amp: See `accelerate`; on a CPU ``torch.bfloat16``. One without it computes in float32, with a warning.

    Raises:
        ValueError: Another precision than bfloat16 on a CPU.
    """
    on_cpu = next(model.parameters()).device.type == 'cpu'
    if on_cpu and amp not in (None, torch.bfloat16):
        raise ValueError(f'a CPU computes in bfloat16 or float32, not in {str(amp).removeprefix("torch.")}')
    if on_cpu and amp is not None and not cpu_has_bfloat16():
        warnings.warn(
            'this processor has no bfloat16: computing in float32, which takes longer', stacklevel=2
        )
        amp = None
    model.eval()
    return accelerate(model, fold=on_cpu, channels_last=on_cpu and heads_are_convolutions(model), amp=amp)


def channels_last_maps(model: nn.Module) -> None:
    """Let backbone and neck compute in channels-last memory, whatever the layout of their weights."""
    body = [part for part in (model.backbone, getattr(model, 'neck', None)) if isinstance(part, nn.Module)]
    body[0].register_forward_pre_hook(lambda module, args: each(args, _channels_last))
    if not heads_are_convolutions(model):
        body[-1].register_forward_hook(lambda module, args, out: each(out, torch.Tensor.contiguous))


def heads_are_convolutions(model: nn.Module) -> bool:
    """Whether this is a detector of one or two stages, whose heads take maps of any memory layout."""
    from mmdet.models.detectors import DetectionTransformer, SingleStageDetector, TwoStageDetector

    dense = isinstance(model, (SingleStageDetector, TwoStageDetector))
    return dense and not isinstance(model, DetectionTransformer)


def keep_weights_in(model: nn.Module, dtype: torch.dtype) -> None:
    """Convolutions' and linear layers' float32 weights in the precision to which autocast would bring them."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.dtype == torch.float32:
            module.to(dtype)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def autocast_predictions(model: nn.Module, dtype: torch.dtype) -> None:
    """Run ``model.forward`` under autocast; what heads give is float32, so that boxes are decoded in it."""
    heads_give_float32(model)
    forward = model.forward

    def run(*args: Any, **kwargs: Any) -> Any:
        device = next(model.parameters()).device.type
        with torch.autocast(device, dtype):
            return forward(*args, **kwargs)

    model.forward = run
