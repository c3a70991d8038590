"""AbeT's learning rate schedules and what changes during its training."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmengine.registry import HOOKS, PARAM_SCHEDULERS
from mmengine.runner import Runner

from ..zoo.checkpoint import load_state_file
from .losses import JointWeightedBorderLoss


@PARAM_SCHEDULERS.register_module()
class SclPolyLR(LRSchedulerMixin, _ParamScheduler):
    """Polynomial decay that starts again ("scl-poly" of NVIDIA's semantic segmentation code).

    (1 - e / max_epochs) ^ power before ``restart``; from there
    rescale * (1 - (e - restart) / (max_epochs - restart)) ^ restart_power.

    Args:
        max_epochs: Where the rate reaches 0.
        restart: The epoch of the second decay.
        power, restart_power: Exponents of both.
        rescale: Factor of the rate at the restart.
    """

    def __init__(
        self,
        optimizer,
        *args,
        max_epochs: int = 175,
        restart: int = 100,
        power: float = 1.0,
        restart_power: float = 1.5,
        rescale: float = 1.0,
        begin: int = 0,
        end: int = INF,
        **kwargs,
    ) -> None:
        self.max_epochs, self.restart, self.rescale = max_epochs, restart, rescale
        self.power, self.restart_power = power, restart_power
        super().__init__(optimizer, *args, begin=begin, end=end, **kwargs)

    def factor(self, step: int) -> float:
        """The rate of an epoch as a factor of the base rate."""
        if step < self.restart:
            return (1 - step / self.max_epochs) ** self.power
        left = max(0.0, 1 - (step - self.restart) / (self.max_epochs - self.restart))
        return self.rescale * left**self.restart_power

    def _get_value(self) -> list[float]:
        return [base * self.factor(self.last_step) for base in self.base_values]


@HOOKS.register_module()
class BorderRelaxationHook(Hook):
    """Switch the relaxation of :class:`JointWeightedBorderLoss` off late in training.

    Args:
        off_epoch: The last epoch (counted from 0) with relaxed labels; published: 100.
    """

    def __init__(self, off_epoch: int = 100) -> None:
        self.off_epoch = off_epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Set every such loss of the model; log the change."""
        relax = runner.epoch <= self.off_epoch
        for module in runner.model.modules():
            if isinstance(module, JointWeightedBorderLoss) and module.relax != relax:
                module.relax = relax
                runner.logger.info(f'epoch {runner.epoch + 1}: border relaxation {"on" if relax else "off"}')


@HOOKS.register_module()
class SnapshotTransferHook(Hook):
    """Start from another data set's snapshot: keep what fits, restart the classifier, and say so.

    Args:
        checkpoint: A checkpoint of this package (``convert.py`` writes such from published ones).
        restart: Regular expressions of the keys that may have another shape and then start
            afresh; any other difference is an error.
        prefix: Take only the keys that start so (``backbone.`` for an ImageNet trunk).

    A run that resumes is left alone.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        checkpoint: str,
        restart: Sequence[str] = (r'\.cosine\.weight$', r'\.conv_seg\.'),
        prefix: str = '',
    ) -> None:
        self.checkpoint, self.restart, self.prefix = checkpoint, tuple(restart), prefix

    def before_train(self, runner: Runner) -> None:
        """Load the snapshot.

        Raises:
            ValueError: Keys are missing, left over, or differ in shape without leave to restart.
        """
        if runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        content = load_state_file(self.checkpoint)
        restarted = self.transfer(model, content.get('state_dict', content))
        kept = any('.temperature.' in k for k in model.state_dict() if k not in restarted)
        print_log(
            f'{self.checkpoint}: transferred but for {len(restarted)} tensors that start afresh '
            f'({", ".join(restarted) or "none"}); '
            f'{"the temperature is kept" if kept else "it has no temperature"}',
            logger='current',
        )

    def transfer(self, model, state: dict) -> list[str]:
        """Load ``state`` into the model; returns the keys that start afresh."""
        target = {k: v for k, v in model.state_dict().items() if k.startswith(self.prefix)}
        state = {k: v for k, v in state.items() if k.startswith(self.prefix)}
        differ = [k for k in target if k in state and state[k].shape != target[k].shape]
        wrong = [f'{k} has another shape' for k in differ if not any(re.search(r, k) for r in self.restart)]
        wrong += [f'{k} is missing' for k in target if k not in state]
        wrong += [f'{k} is left over' for k in state if k not in target]
        if wrong:
            raise ValueError(f'{self.checkpoint} does not fit this model: {"; ".join(wrong[:10])}')
        model.load_state_dict({k: v for k, v in state.items() if k not in differ}, strict=False)
        return differ
