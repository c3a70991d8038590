"""Schedules for other numbers of images and other batches than a config was made for."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

#: Steps that a training has at least, so that a few images are learned too.
LEAST_STEPS = 1000
#: Validations (and checkpoints) of a training at most.
VALIDATIONS = 12
#: Images that the data sets of configs by iterations have, to tell how often each is seen.
IMAGES = {
    'CityscapesDataset': 2975,
    'CityscapesCitySplit': 2975,
    'MapillaryDataset_v1': 18000,
    'ADE20KDataset': 20210,
    'BDD100KSemSegDataset': 7000,
    'BDD100KDetDataset': 69853,
}


def world_size() -> int:
    """The number of processes of this run."""
    return int(os.environ.get('WORLD_SIZE', os.environ.get('SLURM_NTASKS', 1)))


def scale(
    cfg: Config,
    images: int,
    kind: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None = None,
) -> list[str]:
    """Fit a config's schedule and learning rate to a number of images and a batch.

    The data is passed over as often as the config has it, but for at least `LEAST_STEPS` steps. The learning rate
    goes with the batch (images of all processes in a step) in proportion for SGD (Goyal et al.,
    https://arxiv.org/abs/1706.02677), with its square root for Adam and AdamW (Malladi et al.,
    https://arxiv.org/abs/2205.10287). Milestones keep their parts of the whole.

    Args:
        cfg: Changed in place.
        images: Images of one pass.
        kind: The type of the data set that the config was made for.
        epochs: Passes over the data; None as above.
        batch_size: Images of each process; None as the config has it, or fewer where there are fewer.
        lr: The learning rate, whatever the batch is; None as above.

    Returns:
        What there is to say.
    """
    loader, loop = cfg.train_dataloader, cfg.train_cfg
    before = loader.get('batch_size', 1)
    loader.batch_size = min(batch_size or before, images)
    wrapper = cfg.optim_wrapper
    batch = loader.batch_size * world_size() * wrapper.get('accumulative_counts', 1)
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', before)
    said = _scale_lr(wrapper.optimizer, batch, base) if lr is None else []
    cfg.auto_scale_lr = dict(enable=False, base_batch_size=batch)
    per_epoch = math.ceil(images / (loader.batch_size * world_size()))
    if loop.get('type') == 'EpochBasedTrainLoop' or 'max_epochs' in loop or loop.get('by_epoch'):
        old = loop.max_epochs
        new = epochs or max(old, math.ceil(LEAST_STEPS / per_epoch))
        loop.max_epochs = new
        loop.val_interval = max(1, math.ceil(new / VALIDATIONS))
        steps = new * per_epoch
        said.append(f'{new} epochs of {per_epoch} steps of {batch} images')
        _scale_hooks(cfg, new / old, loop.val_interval)
    else:
        old = loop.max_iters
        reference = IMAGES.get(kind)
        same = old if reference is None else math.ceil(old * base * images / (reference * batch))
        new = epochs * per_epoch if epochs else max(same, min(old, LEAST_STEPS))
        loop.max_iters = steps = new
        loop.val_interval = max(1, math.ceil(new / VALIDATIONS))
        said.append(f'{new} steps of {batch} images, {new * batch / images:.0f} passes over {images}')
        _scale_hooks(cfg, new / old, loop.val_interval)
    schedulers = cfg.param_scheduler
    for scheduler in schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]:
        _scale_scheduler(scheduler, new / old, steps)
    return said


def _scale_lr(optimizer: dict[str, Any], batch: int, base: int) -> list[str]:
    lr = optimizer.get('lr')
    if lr is None or batch == base:
        return []
    adam = 'Adam' in str(optimizer.get('type'))
    optimizer['lr'] = float(f'{lr * (math.sqrt(batch / base) if adam else batch / base):.4g}')
    rule = 'its square root' if adam else 'in proportion'
    return [f'learning rate {optimizer["lr"]:g} for {batch} images in a step ({lr:g} is for {base}; {rule})']


def _scale_scheduler(scheduler: dict[str, Any], factor: float, steps: int) -> None:
    kind = str(scheduler.get('type'))
    if (
        not scheduler.get('by_epoch', True)
        and scheduler.get('begin', 0) == 0
        and kind in ('LinearLR', 'ConstantLR')
    ):
        scheduler['end'] = max(
            1, min(scheduler['end'], steps // 10)
        )  # the warm-up stays as long, where there is room
        return
    if scheduler.get('by_epoch', True) is False and scheduler.get('begin', 0):
        scheduler['begin'] = max(1, min(scheduler['begin'], steps // 10))
        if 'end' in scheduler:
            scheduler['end'] = steps
        return
    for key in ('begin', 'end', 'T_max', 'max_epochs', 'restart'):
        if scheduler.get(key):
            scheduler[key] = max(1, round(scheduler[key] * factor))
    # a part of few epochs is the last of them
    if scheduler.get('begin', 0) >= scheduler.get('end', math.inf):
        scheduler['begin'] = scheduler['end'] - 1
    if scheduler.get('milestones'):
        scheduler['milestones'] = [max(1, round(step * factor)) for step in scheduler['milestones']]


def _scale_hooks(cfg: Config, factor: float, interval: int) -> None:
    hooks = cfg.get('default_hooks') or {}
    if hooks.get('checkpoint'):
        hooks['checkpoint']['interval'] = interval
    for hook in cfg.get('custom_hooks') or ():
        for key in ('switch_epoch', 'off_epoch'):
            if key in hook:
                hook[key] = max(1, round(hook[key] * factor))
