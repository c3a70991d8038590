"""Checkpoints that a kill, a full disk or a diverged training cannot take away."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast, get_world_size, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...files import replacing, write_text
from ...zoo.file_kind import TORCH, kind_of, read_head
from .divergence import DivergedError
from .state import pack, unpack

LEAST_KEPT = 2


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, whose files are whole at every moment and hold all that a training needs
    to go on.

    A checkpoint is written beside its place, brought to the disk and renamed; older ones are deleted after
    that, and two are kept at least. Everything but weights is kept as plain values, so that a training goes
    on without unpickling objects. Weights that are not finite are never written, and a score that is not is
    never the best. Arguments are those of ``CheckpointHook``.
    """

    def __init__(self, *args, max_keep_ckpts: int = -1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.max_keep_ckpts = max(max_keep_ckpts, LEAST_KEPT) if max_keep_ckpts > 0 else -1
        self.keep_ckpt_ids: list[int] = []
        self._validated = False
        self._told: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Take up names and numbers of the checkpoint that is gone on from; remove what a kill left over."""
        info = runner.message_hub.runtime_info
        if 'keep_ckpt_ids' in info and self.max_keep_ckpts > 0:
            kept = list(info['keep_ckpt_ids'])
            runner.message_hub.update_info('keep_ckpt_ids', [])  # mmengine's hook deletes by its own count
        else:
            kept = []
        super().before_train(runner)
        if not self._is_local():
            self.keep_ckpt_ids = kept
            return
        # the folder may have been moved: files are in it, wherever it was when they were written
        for name in [k for k in info if k == 'last_ckpt' or k.startswith('best_ckpt')]:
            if info[name]:
                runner.message_hub.update_info(name, os.path.join(self.out_dir, os.path.basename(info[name])))
        self.last_ckpt = info.get('last_ckpt')
        if self.save_best is not None and len(self.key_indicators) == 1:
            self.best_ckpt_path = info.get('best_ckpt')
        elif self.save_best is not None:
            self.best_ckpt_path_dict = {k: info.get(f'best_ckpt_{k}') for k in self.key_indicators}
        self.keep_ckpt_ids = kept
        if is_main_process():
            for path in Path(self.out_dir).glob('best_*.pth'):
                if _was_cut(path):
                    path.unlink()
                    runner.logger.warning(f'{path} was cut off while it was written: removed')
        self._remove_outdated(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        _check_finite(runner)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if self.max_keep_ckpts > 0:
            if self.keep_ckpt_ids[-1:] != [step]:
                self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self._write(
            runner,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self.args,
        )
        if is_main_process():
            write_text(Path(runner.work_dir) / 'last_checkpoint', os.path.abspath(self.last_ckpt))
        self._remove_outdated(runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        _check_finite(runner)
        several = len(self.key_indicators) > 1
        step = runner.epoch if self.by_epoch else runner.iter
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        replaced, better = [], False
        self._validated = True
        try:
            for key, rule in zip(self.key_indicators, self.rules):
                score, suffix = self._score(runner, metrics, key), f'_{key}' if several else ''
                best = runner.message_hub.get_info(f'best_score{suffix}', self.init_value_map[rule])
                if score is None or not self.is_better_than[key](score, best):
                    continue
                name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace('/', '_')
                path = self.file_backend.join_path(self.out_dir, name)
                before = self.best_ckpt_path_dict.get(key) if several else self.best_ckpt_path
                runner.message_hub.update_info(f'best_score{suffix}', score)
                runner.message_hub.update_info(f'best_ckpt{suffix}', path)
                self._write(
                    runner,
                    name,
                    save_optimizer=False,
                    save_param_scheduler=False,
                    meta=dict(meta),
                    by_epoch=False,
                )
                if several:
                    self.best_ckpt_path_dict[key] = path
                else:
                    self.best_ckpt_path = path
                if before and before != path:
                    replaced.append(before)
                runner.logger.info(
                    f'The best checkpoint with {score:0.4f} {key} at {step} {"epoch" if self.by_epoch else "iter"} '
                    f'is saved to {name}.'
                )
                better = True
            if better and self.last_ckpt is not None:
                runner.message_hub.update_info('replaced_ckpts', replaced)
                self._save_checkpoint_with_step(runner, step, meta)
        finally:
            self._validated = False
        self._remove_outdated(runner)

    def _score(self, runner: Runner, metrics: dict[str, Any], key: str) -> float | None:
        if key not in metrics:
            raise KeyError(f'save_best={key!r} is none of the scores of the validation: {", ".join(metrics)}')
        score = metrics[key]
        if score is None or isinstance(score, str) or not math.isfinite(score):
            runner.logger.warning(f'{key} is {score}: not taken for the best')
            return None
        return float(score)

    def _write(self, runner: Runner, name: str, **what: Any) -> None:
        """Write one checkpoint; the ranks' buffers are made alike, as those that go on from it will be."""
        _share_buffers(runner)
        what.update(file_client_args=self.file_client_args, backend_args=self.backend_args)
        if not self._is_local() or not isinstance(runner, Runner):
            runner.save_checkpoint(self.out_dir, name, **what)
        elif is_main_process():
            with replacing(os.path.join(self.out_dir, name), durable=True) as part:
                runner.save_checkpoint(str(part.parent), part.name, **what)

    def _is_local(self) -> bool:
        return '://' not in str(self.out_dir)

    def _remove_outdated(self, runner: Runner) -> None:
        """Delete what newer checkpoints stand in for, once those are on the disk."""
        paths = [Path(p) for p in runner.message_hub.get_info('replaced_ckpts', [])]
        runner.message_hub.update_info('replaced_ckpts', [])
        if self.max_keep_ckpts > 0:
            outdated = self.keep_ckpt_ids[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = self.keep_ckpt_ids[-self.max_keep_ckpts :]
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
            paths += [
                Path(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(i)))
                for i in outdated
            ]
        if is_main_process():
            for path in paths:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        if not self._is_local():
            if self.file_backend.isfile(str(path)):
                self.file_backend.remove(str(path))
        else:
            path.unlink(missing_ok=True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the place in the training and make everything plain; the last hook that sees the checkpoint."""
        inside = checkpoint['meta']['epoch'] == runner.epoch
        checkpoint['progress'] = dict(
            batch=getattr(runner.train_loop, 'batch', 0) if inside else 0,
            validated=self._validated,
            world_size=get_world_size(),
        )
        for other in pack(checkpoint):
            if other not in self._told:
                runner.logger.warning(
                    f'{other} is no plain value: going on from this checkpoint will need --trust-checkpoint'
                )
                self._told.add(other)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Read the place in the training."""
        if not runner._resume:
            return
        if unread := unpack(checkpoint):
            runner.logger.warning(
                f"the log's averages begin anew: an older version wrote them as objects ({len(unread)} values; "
                '--trust-checkpoint reads them)'
            )
        loop, meta = runner.train_loop, checkpoint['meta']
        progress = checkpoint.get('progress')
        if progress is None:  # written by mmengine alone
            if isinstance(loop, EpochBasedTrainLoop):
                loop.batch = max(0, meta['iter'] - meta['epoch'] * len(loop.dataloader))
            return
        loop.batch, loop.validated = progress['batch'], progress['validated']
        if progress['world_size'] != get_world_size():
            runner.logger.warning(
                f'the checkpoint was written by {progress["world_size"]} processes and goes on with '
                f'{get_world_size()}: the images come in another order than without the interruption'
            )


def _was_cut(path: Path) -> bool:
    """Whether a file is the beginning of one of ours, or nothing; what others placed here is left alone."""
    head = read_head(path)
    return not head.strip(b'\0') or (kind_of(head) == TORCH and not zipfile.is_zipfile(path))


def _check_finite(runner: Runner) -> None:
    """Refuse to write weights that are lost already."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not torch.isfinite(parameter.detach()).all():
            raise DivergedError.of(
                runner, f'{name} holds NaN or infinite weights at iteration {runner.iter + 1}'
            )


def _share_buffers(runner: Runner) -> None:
    """Give every rank the buffers of the first, which are those that are written (means of BatchNorm)."""
    if not is_distributed() or get_world_size() == 1:
        return
    models = [runner.model, *(h.ema_model for h in runner.hooks if hasattr(h, 'ema_model'))]
    for model in models:
        for buffer in model.buffers():
            broadcast(buffer)
