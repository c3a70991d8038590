"""Stopping a training that has diverged."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


class DivergedError(RuntimeError):
    """The training has diverged; the message says since when, what was kept and what to change."""

    @classmethod
    def of(cls, runner: Runner, what: str) -> DivergedError:
        """The error with the advice that fits the training."""
        rates = [group['lr'] for group in _optimizers(runner.optim_wrapper)]
        rate = f' (now up to {max(rates):g})' if rates else ''
        kept = runner.message_hub.get_info('last_ckpt')
        return cls(
            f'the training has diverged: {what}. '
            f'{f"The last good checkpoint is {kept}." if kept else "No checkpoint was written yet."} '
            f'Lower optim_wrapper.optimizer.lr{rate}, lengthen the warm-up (param_scheduler), clip the gradients '
            '(optim_wrapper.clip_grad) or, with --amp, train without it; look for boxes or labels that are wrong.'
        )


def _optimizers(wrapper: Any) -> list[dict[str, Any]]:
    groups = getattr(wrapper, 'param_groups', [])
    return [g for part in groups.values() for g in part] if isinstance(groups, dict) else list(groups)


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stops where the loss stays NaN or infinite.

    Args:
        patience: So many iterations in a row. Mixed precision skips single ones and recovers.
    """

    priority = 'LOW'  # before a checkpoint is written

    def __init__(self, patience: int = 10) -> None:
        self.patience = patience
        self._since: int | None = None
        self._names: list[str] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Look at the loss of this iteration."""
        if not isinstance(outputs, dict) or 'loss' not in outputs:
            return
        scalars = runner.message_hub.log_scalars  # holds it as a number already: no wait for the GPU
        loss = scalars['train/loss'].current() if 'train/loss' in scalars else float(outputs['loss'])
        if math.isfinite(loss):
            self._since = None
            return
        if self._since is None:
            self._since = runner.iter + 1
            self._names = [k for k, v in outputs.items() if k != 'loss' and not math.isfinite(float(v))]
            runner.logger.warning(f'the loss is {loss} at iteration {self._since}{self._of()}')
        if runner.iter + 1 - self._since + 1 >= self.patience:
            self._stop(runner)

    def after_train(self, runner: Runner) -> None:
        """A training that ends so has not succeeded."""
        if self._since is not None:
            self._stop(runner)

    def _of(self) -> str:
        return f' ({", ".join(self._names)})' if self._names else ''

    def _stop(self, runner: Runner) -> None:
        raise DivergedError.of(
            runner, f'the loss is NaN or infinite since iteration {self._since}{self._of()}'
        )
