"""Training that can be killed at any moment: what tools/train.py changes in a config before it is run.

mmengine's names stay in the configs; here its checkpoint hook and its loops become those that write
checkpoints durably and go on from them exactly. See `checkpoints`, `loops` and `randomness` for how.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...zoo import class_order_hook
from ...zoo.options import add_import
from . import accumulation, checkpoints, divergence, fast_hook, loops, val_loss
from .divergence import DivergedError
from .resume import newest_checkpoint, read_training
from .trackers import TRACKERS, add_trackers, check_trackers
from .val_loss import add_val_loss

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = [
    'DivergedError',
    'TRACKERS',
    'add_trackers',
    'add_val_loss',
    'check_trackers',
    'accumulation',
    'checkpoints',
    'class_order_hook',
    'divergence',
    'fast_hook',
    'go_on',
    'loops',
    'make_resumable',
    'val_loss',
]

_LOOPS = {'EpochBasedTrainLoop': 'ResumableEpochLoop', 'IterBasedTrainLoop': 'ResumableIterLoop'}
_HOOKS = {'CheckpointHook': 'DurableCheckpointHook'}


def make_resumable(cfg: Config) -> None:
    """Let a config's training write checkpoints that survive, go on exactly, and stop where it has diverged.

    Args:
        cfg: Changed in place. Hooks and loops of other names stay as they are.
    """
    for module in ('mmroad.runtime.training', 'mmroad.zoo.class_order_hook'):
        add_import(cfg, module)
    cfg.default_hooks = cfg.get('default_hooks') or {}
    hooks = cfg.default_hooks
    hooks.setdefault('checkpoint', dict(type='CheckpointHook', interval=1))
    custom = list(cfg.get('custom_hooks') or [])
    for hook in [*hooks.values(), *custom]:
        if isinstance(hook, dict):
            hook['type'] = _HOOKS.get(_mmengines(hook.get('type')), hook.get('type'))
    for name in ('mmengine.ClassOrderHook', 'DivergenceHook'):
        if not any(isinstance(hook, dict) and hook.get('type') == name for hook in custom):
            custom.append(dict(type=name))
    cfg.custom_hooks = custom
    loop = cfg.get('train_cfg') or {}
    if 'type' not in loop and 'by_epoch' in loop:
        loop['type'] = 'EpochBasedTrainLoop' if loop.pop('by_epoch') else 'IterBasedTrainLoop'
    if (name := _mmengines(loop.get('type'))) in _LOOPS:
        loop['type'] = _LOOPS[name]


def _mmengines(kind: str | type | None) -> str | None:
    """The name of a class of mmengine: given by name, with its scope or without, or as the class."""
    if isinstance(kind, type):
        return kind.__name__ if kind.__module__.startswith('mmengine.') else None
    return kind.removeprefix('mmengine.') if kind else None


def go_on(cfg: Config, resume: str | None, *, trust: bool = False) -> list[str]:
    """Choose the checkpoint that a training goes on from, and set the config to it and its seed.

    Args:
        cfg: Changed in place: ``resume``, ``load_from`` and ``randomness.seed``.
        resume: ``'auto'`` for the newest checkpoint of the work folder that reads, a file, a work folder, or
            None: a new training, but where the processes were started again (torchrun's ``--max-restarts``)
            the newest one that this job wrote.
        trust: Read checkpoints that hold objects (runs code in them).

    Returns:
        Messages for the user, one a line.

    Raises:
        FileNotFoundError: The file or folder is not there.
        CheckpointError: The file is damaged or not one of a training.
    """
    if resume is None and cfg.get('resume'):
        resume, cfg.load_from = cfg.get('load_from') or 'auto', None
    cfg.resume = False
    path, content, passed, since = None, {}, [], _job_start()
    if resume == 'auto' or since is not None:
        path, content, passed = newest_checkpoint(
            cfg.work_dir, since=0 if resume == 'auto' else since, trust=trust
        )
    if path is None and resume not in (None, 'auto'):
        path = Path(resume).expanduser()
        if path.is_dir():
            folder = path
            path, content, more = newest_checkpoint(folder, trust=trust)
            passed += more
            if path is None:
                raise FileNotFoundError('\n'.join([f'no checkpoint in {folder} can be gone on from', *more]))
        else:
            content = read_training(path, trust=trust)
    said = [f'passed by: {line}' for line in passed]
    if path is None:
        if resume == 'auto':
            said.append(f'no checkpoint in {cfg.work_dir} to go on from: the training begins')
        return said
    said.append(f'going on from {path}')
    cfg.resume, cfg.load_from = True, os.fspath(path)
    seed, wanted = content['meta'].get('seed'), (cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        if wanted not in (None, seed):
            said.append(f'randomness.seed={wanted} is not taken: the checkpoint was trained with {seed}')
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=int(seed))
    return said


def _job_start() -> float | None:
    """When the job began whose processes have been started again (seconds), None where they have not been."""
    if int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)) and 'MMROAD_STARTED' in os.environ:
        return float(os.environ['MMROAD_STARTED'])
    return None
