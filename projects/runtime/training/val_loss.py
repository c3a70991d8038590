"""The loss on the validation images, beside their scores."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .randomness import VALIDATION, seed_all

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

#: Modules whose training differs from their use: they are used.
_STEADY = (
    _BatchNorm,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.MultiheadAttention,
)


def add_val_loss(cfg: Config) -> None:
    """Let a run log the loss on its validation data (``val_loss`` and its parts).

    The images pass through the validation's pipeline, with the labels as the training loads them, before what resizes
    both (the validation's own labels, where it loads any, keep the images' first size).

    Args:
        cfg: Changed in place.

    Raises:
        ValueError: It has no validation data, or pipelines that cannot be joined; says which.
    """
    loader = cfg.get('val_dataloader')
    if not loader or cfg.get('val_cfg') is None:
        raise ValueError('--val-loss: the config has no validation (val_dataloader, val_cfg)')
    loader = copy.deepcopy(loader if isinstance(loader, dict) else dict(loader))
    dataset = loader['dataset']
    if 'pipeline' not in dataset:
        raise ValueError(
            f'--val-loss: val_dataloader.dataset is a {dataset.get("type")} of other data sets; it takes one alone'
        )
    dataset['pipeline'] = _with_labels(dataset['pipeline'], list(_steps(cfg.train_dataloader['dataset'])))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='ValLossHook', dataloader=loader)]


def _steps(dataset: Any) -> Iterator[dict]:
    """The pipeline of a data set, of one inside another that of the inner first."""
    for inner in (dataset.get('dataset'), *(dataset.get('datasets') or ())):
        if inner:
            yield from _steps(inner)
            break
    yield from dataset.get('pipeline') or ()


def _kind(step: dict) -> str:
    kind = step['type']
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


def _with_labels(pipeline: list[dict], training: list[dict]) -> list[dict]:
    """A test pipeline with the training's loading of labels behind its loading of the image, and its packing."""

    def loads_labels(step: dict) -> bool:
        return _kind(step).startswith('Load') and 'Image' not in _kind(step)

    labels = [step for step in training if loads_labels(step)]
    packs = [step for step in training if 'Pack' in _kind(step)]
    kept = [step for step in pipeline if not loads_labels(step)]
    if not labels or not packs or not kept or 'Image' not in _kind(kept[0]) or 'Pack' not in _kind(kept[-1]):
        raise ValueError(
            "--val-loss: it joins the validation's pipeline (an image is loaded ... and packed) with the training's "
            f'labels; they are {[_kind(s) for s in pipeline]} and {[_kind(s) for s in training]}'
        )
    return copy.deepcopy([kept[0], *labels, *kept[1:-1], packs[-1]])


@HOOKS.register_module()
class ValLossHook(Hook):
    """Computes the loss of the validation images after each validation, and logs it as ``val_loss`` and its parts.

    The model computes it as in training, but with the statistics of its batch normalization and without dropout. What
    is drawn at random (the sampled proposals of a detector) is the same at each validation, and the training's
    random numbers stay what they were. Before the training begins one batch is tried.

    Args:
        dataloader: Config of the validation images with their labels (`add_val_loss` makes it).
    """

    priority = 'ABOVE_NORMAL'  # before averaged weights are changed back and before the numbers are logged

    def __init__(self, dataloader: dict) -> None:
        self._config = dataloader
        self._loader: Any = None

    def before_train(self, runner: Runner) -> None:
        """Build the data, compare its classes with the training's and try a batch.

        Raises:
            ValueError: Other classes.
        """
        self._loader = runner.build_dataloader(self._config, seed=runner.seed)
        found, wanted = (
            (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
            for loader in (self._loader, runner.train_dataloader)
        )
        if found and wanted and tuple(found) != tuple(wanted):
            raise ValueError(
                f'--val-loss: the validation has the classes {", ".join(found)}, the training {", ".join(wanted)}: '
                'their losses are not the same'
            )
        self._losses(runner, 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self._loader is None:  # a validation without a training
            return
        for name, value in self._losses(runner).items():
            key = f'val/val_{name}'  # `loss` is the training's in trackers
            runner.message_hub.log_scalars.pop(
                key, None
            )  # the log shows means over the last values of a loss
            runner.message_hub.update_scalar(key, value)

    def _losses(self, runner: Runner, batches: int | None = None) -> dict[str, float]:
        """The mean of every part over the images, of all processes."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        sums: dict[str, float] = {}
        images = 0
        with _as_in_training(model), _own_randomness(runner.seed), torch.no_grad():
            for number, batch in enumerate(self._loader):
                if number == batches:
                    break
                data = model.data_preprocessor(batch, True)
                losses = model(**data, mode='loss') if isinstance(data, dict) else model(*data, mode='loss')
                size = len(data['inputs'] if isinstance(data, dict) else data[0])
                for name, value in model.parse_losses(losses)[1].items():
                    sums[name] = sums.get(name, 0.0) + size * float(value)
                images += size
        device = 'cpu' if not torch.cuda.is_available() else 'cuda'
        total = torch.tensor([*sums.values(), images], dtype=torch.float64, device=device)
        all_reduce(total)
        return {name: (value / total[-1]).item() for name, value in zip(sums, total)}


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    """Losses are computed, without dropout, running statistics or augmentation of batches."""
    modes = {module: module.training for module in model.modules()}
    augments = getattr(model.data_preprocessor, 'batch_augments', None)
    model.train()
    for module in modes:
        if isinstance(module, _STEADY) or type(module).__name__ == 'DropPath':
            module.eval()
    if augments is not None:
        model.data_preprocessor.batch_augments = None
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        if augments is not None:
            model.data_preprocessor.batch_augments = augments


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Random numbers that are the same each time, and no trace of them."""
    before = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        seed_all(seed, VALIDATION)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
