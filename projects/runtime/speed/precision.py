"""Which low precision a processor computes in, and models whose losses stay in float32 under autocast."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

#: Flags of /proc/cpuinfo (x86, Arm) of which each means that products of bfloat16 numbers are computed as such.
BFLOAT16_FLAGS = frozenset({'avx512_bf16', 'amx_bf16', 'bf16'})
#: Methods that compute losses from what a head's ``forward`` gave.
LOSSES = ('loss_by_feat', 'loss_and_target')


def cpu_has_bfloat16(cpuinfo: str | Path = '/proc/cpuinfo') -> bool:
    """Whether this processor multiplies in bfloat16. Others emulate it, which is slower than float32.

    Args:
        cpuinfo: Linux's description of the processor. Where there is none, the answer is no.
    """
    try:
        lines = Path(cpuinfo).read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.lower().startswith(('flags', 'features'))), '')
    return not BFLOAT16_FLAGS.isdisjoint(flags.split(':')[-1].split())


def each(value: Any, change: Any) -> Any:
    """Nested lists, tuples and dictionaries with every tensor changed; what has nothing to change is not copied."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        items = [each(item, change) for item in value]
        if all(new is old for new, old in zip(items, value)):
            return value
        return type(value)(*items) if hasattr(value, '_fields') else type(value)(items)
    if isinstance(value, Mapping):
        items = {key: each(item, change) for key, item in value.items()}
        return value if all(items[key] is value[key] for key in items) else type(value)(items)
    return value


def float32(x: torch.Tensor) -> torch.Tensor:
    """A tensor of float16 or bfloat16 numbers in float32; another stays as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def heads_give_float32(model: nn.Module) -> None:
    """Let what heads compute under autocast leave them in float32, so that boxes are decoded in it."""
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    for module in model.modules():
        if isinstance(module, (BaseDenseHead, BBoxHead, BaseDecodeHead)):
            module.register_forward_hook(lambda module, args, out: each(out, float32))


def losses_in_float32(model: nn.Module) -> None:
    """Let every head give float32, and compute its targets and losses in float32 with autocast off."""
    for module in model.modules():
        if module is model:
            continue
        if any(hasattr(module, name) for name in (*LOSSES, 'loss')):
            module.register_forward_hook(lambda module, args, out: each(out, float32))
        for name in LOSSES:
            if hasattr(module, name):
                setattr(module, name, _without_autocast(getattr(module, name), model))


def _without_autocast(method: Any, model: nn.Module) -> Any:
    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        device = next(model.parameters()).device.type
        with torch.autocast(device, enabled=False):
            return method(*each(args, float32), **each(kwargs, float32))

    return run
