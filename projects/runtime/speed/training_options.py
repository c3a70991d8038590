"""Options that make a training faster or let it fit into less memory, as changes of a config.

``--amp``, ``--compile``, ``--accumulate`` and ``--checkpoint-activations`` of a training command; `change` is what they
do. What concerns the built model is done by `FastTrainingHook`.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...zoo.options import add_import

if TYPE_CHECKING:
    from mmengine.config import Config

#: Optimizer wrappers that `change` knows how to replace.
WRAPPERS = (None, 'OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a training command that `change` takes."""
    group = parser.add_argument_group('speed and memory')
    group.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 on a CPU that has it, else --amp-dtype; losses stay in float32',
    )
    group.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16'],
        help='the precision of --amp (default: bfloat16 on a CPU, on a GPU what the config says, else float16)',
    )
    group.add_argument(
        '--compile', action='store_true', help='compile backbone and neck; the first iterations take minutes'
    )
    group.add_argument(
        '--checkpoint-activations',
        action='store_true',
        help='compute the activations of a Swin or ConvNeXt backbone twice and keep fewer of them in memory',
    )


def change(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Change a config for a faster or smaller training, and let torch's optimizers work on all weights at once.

    Args:
        cfg: Changed in place, before its runner is built.
        args: With the options of `add_arguments`, and ``accumulate``. Under ``amp`` backbone, neck and heads compute
            in low precision, regions, targets and losses in float32; a CPU without bfloat16 trains in float32.

    Returns:
        What there is to say, line by line.

    Raises:
        ValueError: An option that this machine, the config or its model cannot follow.
    """
    import torch

    from ..training.accumulation import accumulate_gradients
    from .precision import cpu_has_bfloat16

    on_cpu = not torch.cuda.is_available()
    said, amp, amp_dtype = [], args.amp, args.amp_dtype
    if amp_dtype and not amp:
        raise ValueError('--amp-dtype says in which precision --amp computes: give --amp too')
    if amp and on_cpu and amp_dtype == 'float16':
        raise ValueError('--amp-dtype float16 needs a GPU: a CPU trains in bfloat16 or float32')
    if amp and on_cpu and not cpu_has_bfloat16():
        said.append('--amp: this processor has no bfloat16, so the training is in float32 (and takes longer)')
        amp = False
    if amp:
        dtype = _set_precision(cfg, 'bfloat16' if on_cpu else amp_dtype)
        said.append(f'mixed precision: backbone, neck and heads in {dtype}, losses in float32')
    if args.accumulate is not None:
        said.append(accumulate_gradients(cfg, args.accumulate))
    if args.checkpoint_activations:
        _need_blocks(cfg)
    if args.compile:
        _need_compiler(on_cpu)
        said.append(
            'backbone and neck are compiled: the first iterations take minutes, and again for new image sizes'
        )
    _fuse(cfg.get('optim_wrapper'))
    hook = dict(
        type='FastTrainingHook',
        amp=amp,
        compile=args.compile,
        checkpoint_activations=args.checkpoint_activations,
    )
    add_import(cfg, 'mmroad.runtime.training')
    others = [h for h in cfg.get('custom_hooks') or [] if h['type'] != hook['type']]
    cfg.custom_hooks = [*others, hook]
    return said


def _set_precision(cfg: Config, dtype: str | None) -> str:
    wrapper = cfg.optim_wrapper
    if wrapper.get('type') not in WRAPPERS:
        raise ValueError(
            f'--amp replaces OptimWrapper or AmpOptimWrapper, and {os.path.basename(cfg.filename or "the config")} has '
            f'optim_wrapper.type {wrapper.type}: set the precision there'
        )
    dtype = dtype or wrapper.get('dtype') or 'float16'
    if dtype == 'bfloat16':  # has float32's range: nothing to scale
        wrapper.pop('loss_scale', None)
        wrapper.pop('dtype', None)
        wrapper.type = 'BFloat16OptimWrapper'
    else:
        wrapper.type, wrapper.dtype = 'AmpOptimWrapper', dtype
        wrapper.setdefault('loss_scale', 'dynamic')
    return dtype


def _need_blocks(cfg: Config) -> None:
    """Raise unless a backbone of the model is made of blocks that can be computed twice."""
    kinds = list(_backbones(cfg.model))
    if not any(name in kind for kind in kinds for name in ('Swin', 'ConvNeXt')):
        raise ValueError(
            f'--checkpoint-activations is for Swin and ConvNeXt; {os.path.basename(cfg.filename or "the config")} has '
            f'the backbone {" and ".join(kinds) or "of no type"}'
        )


def _backbones(model: Any) -> Iterator[str]:
    """Types of the backbones in a model's config, wrapped models' too."""
    for key, value in model.items() if isinstance(model, dict) else ():
        if key == 'backbone' and isinstance(value, dict):
            yield str(value.get('type'))
        yield from _backbones(value)


def _need_compiler(on_cpu: bool) -> None:
    """Raise unless torch finds what it compiles with."""
    if on_cpu:
        from torch._inductor.cpp_builder import get_cpp_compiler

        try:
            get_cpp_compiler()
        except Exception as error:
            raise ValueError('--compile needs a C++ compiler on the PATH (such as g++)') from error
    else:
        try:
            import triton  # noqa: F401
        except ImportError as error:
            raise ValueError('--compile needs triton on a GPU: pip install triton') from error


def _fuse(wrapper: Any) -> None:
    """Let torch's own optimizers step over all weights in one pass, where the config does not say how."""
    import torch

    optimizer = (wrapper or {}).get('optimizer')
    kind = getattr(torch.optim, str(optimizer.get('type')), None) if isinstance(optimizer, dict) else None
    if kind is None or {'fused', 'foreach', 'differentiable', 'capturable'} & optimizer.keys():
        return
    if 'fused' in inspect.signature(kind).parameters:
        optimizer.fused = True
