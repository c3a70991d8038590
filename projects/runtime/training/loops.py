"""mmengine's training loops, which go on exactly where a checkpoint was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_rank
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from .randomness import STEP, VALIDATION, ResumableBatchSampler, SeededItems, seed_all


def resumable_dataloader(runner: Runner, config: Any) -> Any:
    """Build a training dataloader whose batches are numbered and whose items are seeded by their place.

    What is built already, or reads a stream without a sampler, is returned as it is.
    """
    if not isinstance(config, dict) or not isinstance(config.get('sampler'), dict):
        return config
    config = dict(config)
    batches = dict(type=ResumableBatchSampler, batch_sampler=config.pop('batch_sampler', None))
    config['batch_sampler'] = dict(batches, drop_last=config.pop('drop_last', False))
    loader = runner.build_dataloader(config, seed=runner.seed, diff_rank_seed=_ranks_differ(runner))
    loader.dataset.__getitems__ = SeededItems(loader.dataset, runner.seed, get_rank())
    return loader


def _ranks_differ(runner: Runner) -> bool:
    return bool(runner._randomness_cfg.get('diff_rank_seed', False))


class _Resumable:
    """What both loops share.

    Attributes:
        batch: Batches of the current epoch that are done; of use to the epoch-based loop alone.
        validated: Whether the validation that is due at this place was made before the checkpoint was written.
    """

    batch = 0
    validated = True

    def __init__(self, runner: Runner, dataloader: Any, *args, **kwargs) -> None:
        super().__init__(runner, resumable_dataloader(runner, dataloader), *args, **kwargs)

    def _seed(self, purpose: int) -> None:
        rank = get_rank() if _ranks_differ(self.runner) else 0
        seed_all(self.runner.seed, purpose, rank, self._iter)

    def _validate_if_due(self, done: int, end: int) -> None:
        self._decide_current_val_interval()
        if self.runner.val_loop is None or done < self.val_begin:
            return
        if done % self.val_interval == 0 or done == end:
            self._seed(VALIDATION)
            self.runner.val_loop.run()

    def _begin(self, number: int, skip: int) -> None:
        sampler = self.dataloader.batch_sampler
        if isinstance(sampler, ResumableBatchSampler):
            sampler.begin(number, skip)
        elif skip:
            self.runner.logger.warning(
                'the training data has no sampler of mmroad: it begins anew and not where the training stopped'
            )


@LOOPS.register_module()
class ResumableEpochLoop(_Resumable, EpochBasedTrainLoop):
    """mmengine's epoch-based loop; a checkpoint inside an epoch is gone on from at its batch."""

    def run(self) -> Any:
        self.runner.call_hook('before_train')
        if not self.validated and self._epoch and not self.batch:
            self._validate_if_due(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self._begin(self._iter, self.batch)
        for index, data in enumerate(self.dataloader, self.batch):
            self.batch = index + 1
            self._seed(STEP)
            self.run_iter(index, data)
        self.batch = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class ResumableIterLoop(_Resumable, IterBasedTrainLoop):
    """mmengine's iteration-based loop; no image of the iterations that are done is loaded again."""

    def run(self) -> Any:
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if not self.validated and self._iter:
            self._validate_if_due(self._iter, self._max_iters)
        batches = self._batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            data = next(batches)
            self._seed(STEP)
            self.run_iter(data)
            self._validate_if_due(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _batches(self) -> Iterator[Any]:
        self._begin(self._iter, self._iter)
        empty = 0  # one empty pass comes where the iterations that are done end with the data
        while empty < 2:
            empty += 1
            for data in self.dataloader:
                yield data
                empty = 0
            if isinstance(self.dataloader.batch_sampler, ResumableBatchSampler):
                self.dataloader.batch_sampler.next_epoch()
        raise ValueError('the training data has no batch')
