"""Stopping a training that has diverged."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor


class DivergedError(RuntimeError):
    """The training has diverged; the message says since when, what was kept and what to change."""

    @classmethod
    def of(cls, runner: Runner, what: str) -> DivergedError:
        """The error with the advice that fits the training, and since when the loss is wrong where that is known."""
        since = next((h.since for h in runner.hooks if isinstance(h, DivergenceHook) and h.since), '')
        what = f'{since}; {what}' if since and since != what else what
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
        patience: Stop after this many such iterations in a row. Mixed precision skips single ones and
            recovers.
    """

    priority = 'LOW'  # before a checkpoint is written

    def __init__(self, patience: int = 10) -> None:
        self.patience = patience
        self._begun: int | None = None
        self.since = ''

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Look at the loss of this iteration."""
        if not isinstance(outputs, dict) or 'loss' not in outputs:
            return
        scalars = runner.message_hub.log_scalars  # holds it as a number already: no wait for the GPU
        loss = scalars['train/loss'].current() if 'train/loss' in scalars else _number(outputs['loss'])
        if math.isfinite(loss):
            self._begun, self.since = None, ''
            return
        if self._begun is None:
            self._begun = runner.iter
            names = [
                k
                for k, v in outputs.items()
                if k != 'loss' and _is_number(v) and not math.isfinite(_number(v))
            ]
            of = f' ({", ".join(names)})' if names else ''
            self.since = f'the loss is NaN or infinite since iteration {runner.iter + 1}{of}'
            runner.logger.warning(self.since)
        if runner.iter - self._begun + 1 >= self.patience:
            raise DivergedError.of(runner, self.since)

    def after_train(self, runner: Runner) -> None:
        """A training that ends so has not succeeded."""
        if self.since:
            raise DivergedError.of(runner, self.since)


def _is_number(value: Any) -> bool:
    return isinstance(value, (Tensor, int, float))


def _number(value: Any) -> float:
    return float(value.detach().mean()) if isinstance(value, Tensor) else float(value)
