"""A training of milliseconds with everything that has a state: dropout, BatchNorm, momentum, schedules, averages
of weights, augmentation in workers, a best score."""

import itertools
import random

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset

from mmroad.commands.running import build_runner
from mmroad.runtime.training import go_on, make_resumable
from mmroad.zoo.loader import install_safe_loader

_RUNS = itertools.count()


@DATASETS.register_module()
class TinyDataset(Dataset):
    """Points on two sides of a line, moved at random by each of the three generators."""

    metainfo = dict(classes=('left', 'right'))

    def __init__(self, size: int = 24, fail: bool = False, **kwargs) -> None:
        self.size, self.fail = size, fail
        self.loaded = []

    def __len__(self) -> int:
        return self.size

    def get_data_info(self, index: int) -> dict:
        return dict(width=10 + index % 3, height=11, index=index)

    def __getitem__(self, index: int) -> dict:
        self.loaded.append(int(index))
        point = torch.tensor([index % 2, index % 5, index % 7], dtype=torch.float32)
        noise = torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])
        return dict(inputs=point + noise, label=float('nan') if self.fail else float(index % 2))


@MODELS.register_module()
class TinyModel(BaseModel):
    def __init__(self, nan_from: int | None = None, ballast: int = 0) -> None:
        super().__init__()
        self.register_buffer('ballast', torch.ones(ballast))  # a file that takes a while to write
        self.net = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.nan_from, self.steps = nan_from, 0

    def forward(self, inputs, label, mode='tensor'):
        inputs, label = (
            torch.stack(list(v)) if not torch.is_tensor(v) else v for v in (inputs, torch.as_tensor(label))
        )
        out = self.net(inputs)[:, 0]
        if mode == 'predict':
            return [dict(error=float((o - y).abs())) for o, y in zip(out, label)]
        self.steps += 1
        loss = ((out - label.float()) ** 2).mean() + 0.01 * random.random() * out.mean()
        if self.nan_from is not None and self.steps >= self.nan_from:
            loss = loss * float('nan')
        return dict(loss_point=loss)


@METRICS.register_module()
class TinyMetric(BaseMetric):
    default_prefix = 'tiny'

    def __init__(self, scores=None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scores = list(scores or [])

    def process(self, data_batch, data_samples) -> None:
        self.results += [s['error'] for s in data_samples]

    def compute_metrics(self, results) -> dict:
        return dict(right=self.scores.pop(0) if self.scores else -float(np.mean(results)))


def tiny_config(work_dir, by_epoch: bool = True, workers: int = 0, **changes) -> dict:
    """A config as tools/train.py reads it."""
    train = (
        dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=1)
        if by_epoch
        else dict(type='IterBasedTrainLoop', max_iters=24, val_interval=6)
    )
    loader = dict(
        dataset=dict(type='TinyDataset'), batch_size=4, num_workers=workers, persistent_workers=workers > 0,
        sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True))  # fmt: skip
    cfg = dict(
        work_dir=str(work_dir),
        model=dict(type='TinyModel'),
        train_dataloader=loader,
        val_dataloader=dict(
            dataset=dict(type='TinyDataset', size=8), batch_size=4, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_evaluator=dict(type='TinyMetric'),
        train_cfg=train,
        val_cfg=dict(),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5),
            dict(type='CosineAnnealingLR', by_epoch=by_epoch, begin=0, end=4 if by_epoch else 24),
        ],
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=by_epoch, interval=1 if by_epoch else 3, max_keep_ckpts=2,
                save_best='tiny/right', rule='greater'),
            logger=dict(type='LoggerHook', interval=1),
        ),
        custom_hooks=[dict(type='EMAHook', momentum=0.1, update_buffers=True)],
        log_processor=dict(by_epoch=by_epoch),
        log_level='WARNING',
        default_scope='mmengine',
    )  # fmt: skip
    cfg.update(changes)
    return cfg


class Stopped(Exception):
    """Stands for a kill."""


def run_tiny(work_dir, resume=None, stop=None, trust=False, watch=None, **changes):
    """Train as tools/train.py does; ``stop(runner, hook_name)`` says where the process dies, ``watch`` looks on.

    Returns:
        The runner, and what was said.
    """
    cfg = Config(tiny_config(work_dir, **changes))
    cfg.experiment_name = f'tiny-{next(_RUNS)}'
    make_resumable(cfg)
    said = go_on(cfg, resume, trust=trust)
    install_safe_loader(trust=trust)
    runner = build_runner(cfg)
    call = runner.call_hook

    def call_hook(name, **kwargs):
        call(name, **kwargs)
        if watch is not None:
            watch(runner, name)
        if stop is not None and stop(runner, name):
            raise Stopped

    runner.call_hook = call_hook
    if stop is None:
        runner.train()
    else:
        try:
            runner.train()
        except Stopped:
            pass
        else:
            raise AssertionError('the training was not stopped')
    return runner, said


def differences(one, other, leave_out=('time', 'cfg', 'experiment_name', '_ckpt', 'replaced')):
    """Names of what differs between two checkpoints, but for times and paths."""
    found = []

    def compare(a, b, name):
        if any(part in name.rsplit('.', 2)[-1] or f'/{part}' in name for part in leave_out):
            return
        if isinstance(a, torch.Tensor):
            same = torch.equal(a, b) if a.dtype.is_floating_point is False else _same_bits(a, b)
        elif isinstance(a, dict):
            same = a.keys() == b.keys()
            for key in a.keys() & b.keys():
                compare(a[key], b[key], f'{name}.{key}')
        elif isinstance(a, (list, tuple)):
            same = len(a) == len(b)
            for i, pair in enumerate(zip(a, b)):
                compare(*pair, f'{name}.{i}')
        else:
            same = a == b
        if not same:
            found.append(name)

    one, other = (torch.load(path, weights_only=True) for path in (one, other))
    for part in one.keys() | other.keys():
        if part != 'meta':
            compare(one.get(part), other.get(part), part)
    return sorted(found)


def _same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
