"""Data sets whose classes are not the model's end a run before it begins."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from ..files.unreadable import leaves
from .swap import VocabularySwap


@HOOKS.register_module()
class VocabularyCheckHook(Hook):
    """Compares the classes of every data set of a run with the vocabulary that it is learned or judged with."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Raises ValueError where a data set has other classes, another order, or another number of them."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(model, VocabularySwap):
            return
        for part in ('_train_loop', '_val_loop', '_test_loop'):
            loop = getattr(runner, part, None)
            if isinstance(loop, BaseLoop):
                for dataset in leaves(loop.dataloader.dataset):
                    self._check(model, dataset, part == '_train_loop')

    @staticmethod
    def _check(model: VocabularySwap, dataset, training: bool) -> None:
        classes = (dataset.metainfo or {}).get('classes')
        if not classes:
            return
        source = str(getattr(dataset, 'ann_file', '') or type(dataset).__name__)
        if training:
            # a classifier of drawn classes learns boxes of its first classes alone
            model.check_classes(classes, source, None, first=bool(getattr(model, 'dynamic_classifier', 0)))
        else:
            name = getattr(dataset, 'vocabulary', None) or model.vocabulary
            model.check_classes(classes, source, name)
