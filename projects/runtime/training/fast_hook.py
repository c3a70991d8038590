"""What `mmroad.runtime.speed.training_options` changes in a built model before its first training step."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..speed.accelerate import channels_last_maps, heads_are_convolutions
from ..speed.precision import losses_in_float32


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """mmengine's wrapper whose forward passes are under bfloat16 autocast, on any device.

    bfloat16 has the range of float32, so that losses are not scaled; weights, gradients and the optimizer's state
    stay float32.
    """

    def optim_context(self, model: nn.Module) -> Any:
        """Autocast, and mmengine's context that spares the exchange of gradients inside an accumulation."""
        device = next(model.parameters()).device.type
        return _both(super().optim_context(model), torch.autocast(device, torch.bfloat16))


class _both:
    def __init__(self, *contexts: Any) -> None:
        self.contexts = contexts

    def __enter__(self) -> None:
        for context in self.contexts:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*error)


@HOOKS.register_module()
class FastTrainingHook(Hook):
    """Prepares the model for a fast training, after its weights are there.

    Detectors of one and two stages train in channels-last memory on a CPU.

    Args:
        amp: Losses are computed in float32 though the training is under autocast.
        compile: ``torch.compile`` backbone and neck.
        checkpoint_activations: See `checkpoint_activations`.
    """

    def __init__(
        self, amp: bool = False, compile: bool = False, checkpoint_activations: bool = False
    ) -> None:
        self.amp, self.compile, self.checkpoint_activations = amp, compile, checkpoint_activations
        self._begun: float | None = None

    def before_train(self, runner: Runner) -> None:
        """Change the model."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if next(model.parameters()).device.type == 'cpu' and heads_are_convolutions(model):
            channels_last_maps(model)
        if self.amp:
            losses_in_float32(model)
        if self.checkpoint_activations:
            blocks = checkpoint_activations(model)
            runner.logger.info(f'activations of {blocks} blocks of the backbone are computed twice')
        if self.compile:
            for part in ('backbone', 'neck'):
                if isinstance(getattr(model, part, None), nn.Module):
                    getattr(model, part).compile()
            self._begun = time.perf_counter()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Say how long the compilation took."""
        if self._begun is not None:
            seconds = time.perf_counter() - self._begun
            runner.logger.info(f'the first iteration, with its compilation, took {seconds:.0f} s')
            self._begun = None


def checkpoint_activations(model: nn.Module) -> int:
    """Let the blocks of a backbone compute their activations again in the backward pass, to save memory.

    Blocks are the modules that take mmdet's ``with_cp`` (Swin, ConvNeXt), but none with batch normalization, whose
    running statistics the second pass would move. Random numbers of the second pass are those of the first; results
    and gradients stay the same.

    Returns:
        How many blocks.

    Raises:
        ValueError: The backbone has no such block.
    """
    backbone = getattr(model, 'backbone', model)
    blocks = list(_blocks(backbone))
    if not blocks:
        raise ValueError(
            f'--checkpoint-activations is for Swin and ConvNeXt: {type(backbone).__name__} has no blocks without '
            'batch normalization to compute twice'
        )
    for block in blocks:
        block.with_cp = False  # ours instead: without re-entering autograd
        block.forward = functools.partial(_twice, block.forward)
    return len(blocks)


def _twice(forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The innermost modules with ``with_cp``."""
    for child in module.children():
        inner = list(_blocks(child))
        yield from inner
        if not inner and hasattr(child, 'with_cp'):
            if not any(isinstance(part, _BatchNorm) for part in child.modules()):
                yield child
