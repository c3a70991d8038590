"""Hooks of BDD100K detection runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.registry import HOOKS, TRANSFORMS
from mmengine.hooks import Hook
from torch import nn

from ..files.unreadable import leaves, let_leave_out
from .dataset import ScalabelDetDataset


@HOOKS.register_module()
class StrongAugmentationOff(Hook):
    """Replaces the pipeline of a ``MultiImageMixDataset`` from an epoch on.

    Args:
        switch_epoch: The first epoch (from 0) with the plain pipeline.
        pipeline: It, without the loading steps, which the inner dataset keeps.
    """

    def __init__(self, switch_epoch: int, pipeline: list[dict]) -> None:
        self.switch_epoch, self.pipeline = switch_epoch, pipeline
        self._done = False

    def before_train_epoch(self, runner) -> None:
        if self._done or runner.epoch < self.switch_epoch:
            return
        loader = runner.train_dataloader
        dataset = loader.dataset
        dataset.pipeline = [TRANSFORMS.build(step) for step in self.pipeline]
        dataset.pipeline_types = [step['type'] for step in self.pipeline]
        if loader._iterator is not None:  # persistent workers hold the old pipeline
            loader._iterator._shutdown_workers()
            loader._iterator = None
        self._done = True
        runner.logger.info(f'strong augmentation is off from epoch {runner.epoch} on')


@HOOKS.register_module()
class DetSetupHook(Hook):
    """Compares the parts of a detection run before its first step, and gives the metric its ground truth.

    Every data set has the same classes in the same order, the model's heads have as many, and
    ``ScalabelDetMetric`` has the images that will be run in its ground truth. Images that cannot be read are left out
    where the metric knows that.

    Args:
        check_classes: False for models that take their classes from a vocabulary, one each for training and test.

    Raises:
        ValueError: They do not fit; says which.
    """

    priority = 'VERY_HIGH'

    def __init__(self, check_classes: bool = True) -> None:
        self.check_classes = check_classes

    def before_run(self, runner) -> None:
        every = {name: getattr(runner, f'_{name}_loop', None) for name in ('train', 'val', 'test')}
        loops: dict[str, Any] = {
            k: loop for k, loop in every.items() if hasattr(loop, 'dataloader')
        }  # built ones
        classes: dict[str, Sequence[str]] = {}
        for name, loop in loops.items():
            meta = getattr(loop.dataloader.dataset, 'metainfo', None)
            if not isinstance(meta, Mapping):  # a list: data sets of several kinds
                continue
            found = meta.get('classes')
            if found:
                classes[f'{name}_dataloader'] = (found,) if isinstance(found, str) else tuple(found)
        if self.check_classes:
            _compare(classes, runner.model)
        for loop in loops.values():
            let_leave_out(loop)
            metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', ())
            datasets = [d for d in leaves(loop.dataloader.dataset) if isinstance(d, ScalabelDetDataset)]
            for metric in metrics:
                if not hasattr(metric, 'use') or not datasets:
                    continue
                if len(datasets) > 1:
                    raise ValueError(
                        f'{type(metric).__name__} takes one data set, not {len(datasets)} in one loader: give their '
                        'label files in one folder as ann_file, or test them one after another'
                    )
                metric.use(datasets[0])


def _compare(classes: dict[str, Sequence[str]], model: nn.Module) -> None:
    """Raise ValueError where data sets (loader: classes) differ, or heads have another number."""
    for place, names in classes.items():
        first, wanted = next(iter(classes.items()))
        if names != wanted:
            raise ValueError(
                f'{place} has the {len(names)} classes {", ".join(names)}, {first} the {len(wanted)} '
                f'{", ".join(wanted)}: give all data sets one metainfo=dict(classes=...)'
            )
        for head, number in _heads(model):
            if number != len(names):
                raise ValueError(
                    f'model.{head} has num_classes={number}, {place} has {len(names)} classes ({", ".join(names)}): '
                    f'set num_classes={len(names)} in every head of the model, or the {number} classes as '
                    'metainfo=dict(classes=...) of every data set'
                )


def _heads(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Names and numbers of classes of the modules that tell classes apart: not of an RPN, which tells objects, and
    not of a semantic branch, whose labels are others."""
    model = getattr(model, 'module', model)
    for name, module in model.named_modules():
        number = getattr(module, 'num_classes', None)
        other = {'rpn_head', 'semantic_head'}.intersection(name.split('.'))
        if 'head' in name and isinstance(number, int) and not other:
            yield name, number
