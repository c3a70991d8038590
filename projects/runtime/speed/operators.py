"""mmcv's compiled operators with any memory layout and precision.

They read their inputs' memory as if it were contiguous. A ``channels_last`` map is misread without an error by RoIAlign
(its CUDA code too), refused by others; bfloat16 is refused by all, and a CPU has no float16 for most.

mmdet rounds regions to the precision of the maps: in bfloat16 a coordinate near 1000 moves by up to 2 pixels, in
float16 by up to a quarter. Regions are aligned in float32 here.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from .nms import suppress_in_parts
from .roi_align import gather_on_cpu

#: Modules of ``mmcv.ops`` and their autograd functions.
FUNCTIONS = (
    ('roi_align', 'RoIAlignFunction'),
    ('roi_pool', 'RoIPoolFunction'),
    ('deform_conv', 'DeformConv2dFunction'),
    ('modulated_deform_conv', 'ModulatedDeformConv2dFunction'),
    ('multi_scale_deform_attn', 'MultiScaleDeformableAttnFunction'),
    ('masked_conv', 'MaskedConv2dFunction'),
    ('focal_loss', 'SigmoidFocalLossFunction'),
    ('carafe', 'CARAFEFunction'),
    ('nms', 'NMSop'),
    ('nms', 'SoftNMSop'),
)
#: Those that a CPU computes otherwise.
ON_CPU = dict(RoIAlignFunction=gather_on_cpu, NMSop=suppress_in_parts)


def guard_operators() -> None:
    """Give mmcv's operators contiguous inputs, and float32 ones where they lack the precision; let mmdet's region
    extractors compute in float32.

    RoIAlign on a CPU becomes `mmroad.runtime.speed.roi_align`'s, which reads any layout; suppression there goes by
    parts (`mmroad.runtime.speed.nms`).
    A result computed in float32 stays float32; gradients come back in the input's precision. Calling it again does
    nothing. Inputs that an operator reads as they are cost nothing.
    """
    import importlib

    from mmdet.models.roi_heads.roi_extractors import GenericRoIExtractor, SingleRoIExtractor

    for module, name in FUNCTIONS:
        function = getattr(importlib.import_module(f'mmcv.ops.{module}'), name)
        if not hasattr(function.forward, 'guarded'):
            function.forward = staticmethod(_guarded(function.forward))
            if name in ON_CPU:
                ON_CPU[name](function)
    for extractor in (SingleRoIExtractor, GenericRoIExtractor):
        if not hasattr(extractor.forward, 'guarded'):
            extractor.forward = _in_float32(extractor.forward)


def _guarded(forward: Any) -> Any:
    @functools.wraps(forward)
    def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        widen = any(_lacks(x) for x in tensors)

        def ready(x: Any) -> Any:
            if not isinstance(x, torch.Tensor):
                return x
            return (x.float() if widen and x.is_floating_point() else x).contiguous()

        return forward(ctx, *map(ready, args), **{key: ready(value) for key, value in kwargs.items()})

    run.guarded = True
    return run


def _lacks(x: torch.Tensor) -> bool:
    return x.dtype == torch.bfloat16 or (x.dtype == torch.float16 and x.device.type == 'cpu')


def _in_float32(forward: Any) -> Any:
    @functools.wraps(forward)
    def run(self: Any, feats: Any, *args: Any, **kwargs: Any) -> Any:
        return forward(self, tuple(feat.float() for feat in feats), *args, **kwargs)

    run.guarded = True
    return run
