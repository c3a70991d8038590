"""Gradients of several iterations in one step of the optimizer, with the schedule of the large batch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mmengine.hooks import ParamSchedulerHook
from mmengine.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def accumulate_gradients(cfg: Config, count: int) -> str:
    """Let the optimizer step once in ``count`` iterations, with the mean of their gradients.

    A training of batch B is then the one of batch ``count`` * B but for batch normalization, which sees B images.
    The config's numbers of iterations count steps: a warm-up of 500 takes 500 steps, 90,000 iterations become
    ``count`` times as many of the smaller batch, and validations and checkpoints come after as many steps.
    Epochs stay epochs. The learning rate stays what the config says, and ``--auto-scale-lr`` counts the large batch.

    Args:
        cfg: Changed in place.
        count: At least 1.

    Returns:
        A sentence that says so.

    Raises:
        ValueError: Fewer than one, or several optimizers.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f'--accumulate takes a number of iterations of at least 1, not {count!r}')
    wrapper = cfg.optim_wrapper
    if 'optimizer' not in wrapper:
        name = os.path.basename(cfg.filename or 'the config')
        raise ValueError(f'--accumulate needs one optimizer, and {name} has several or none of its own')
    count_before = wrapper.get('accumulative_counts', 1)
    wrapper.accumulative_counts = count
    if count == count_before:
        return f'gradients of {count} iterations in one step, as the config has it'
    batch = cfg.train_dataloader.get('batch_size', 1)
    world = int(os.environ.get('WORLD_SIZE', os.environ.get('SLURM_NTASKS', 1)))
    said = f'gradients of {count} iterations in one step: {count * batch * world} images a step'
    if count_before != 1:  # the config's numbers are of iterations already
        return said
    loop = cfg.train_cfg
    if 'max_iters' in loop:
        for key in ('max_iters', 'val_interval', 'val_begin'):
            if key in loop:
                loop[key] *= count
        if 'dynamic_intervals' in loop:
            loop.dynamic_intervals = [
                (start * count, length * count) for start, length in loop.dynamic_intervals
            ]
        said += f', {loop.max_iters} iterations in all'
    hooks = cfg.get('default_hooks') or {}
    for hook in [*hooks.values(), *(cfg.get('custom_hooks') or [])]:
        if (
            isinstance(hook, dict)
            and 'CheckpointHook' in str(hook.get('type'))
            and hook.get('by_epoch') is False
        ):
            hook['interval'] = hook.get('interval', -1) * (count if hook.get('interval', -1) > 0 else 1)
    scale = cfg.get('auto_scale_lr')
    if scale and 'base_batch_size' in scale:
        scale.base_batch_size = scale.base_batch_size / count
    schedulers = cfg.get('param_scheduler') or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    by_iteration = [i for i, s in enumerate(schedulers) if s.get('convert_to_iter_based')]
    cfg.default_hooks = dict(hooks, param_scheduler=dict(type='StepSchedulerHook', in_epochs=by_iteration))
    return said


@HOOKS.register_module()
class StepSchedulerHook(ParamSchedulerHook):
    """Moves schedules that count iterations on with the optimizer's steps, not in between.

    Args:
        in_epochs: Indices of schedules that are written in epochs and followed by iterations: these move on by as many
            iterations as the step had.
    """

    def __init__(self, in_epochs: list[int] | None = None) -> None:
        self.in_epochs = frozenset(in_epochs or ())
        self._since = 0

    def before_train(self, runner: Runner) -> None:
        """Iterations of a step that was begun before the training was interrupted count."""
        self._since = runner.iter % runner.optim_wrapper._accumulative_counts

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Move the schedules on where the optimizer has made a step."""
        self._since += 1
        if not runner.optim_wrapper.should_update():
            return
        for index, scheduler in enumerate(runner.param_schedulers or []):
            if not scheduler.by_epoch:
                for _ in range(self._since if index in self.in_epochs else 1):
                    scheduler.step()
        self._since = 0
