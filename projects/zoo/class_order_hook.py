"""The rule of `mmroad.zoo.class_order` for weights that a training starts from."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .class_order import ClassOrderError, follow_classes_in_training
from .models import model_classes


@HOOKS.register_module()
class ClassOrderHook(Hook):
    """Brings the class layers of ``load_from`` to the order of the config's classes, before they are loaded.

    Other classes are refused, unless the class layers have another size and start afresh (as when one starts from
    a COCO detector). A run that resumes must have the classes that it began with.

    Args:
        other_classes: ``refuse`` as above, or ``afresh``: of a checkpoint for other classes all but the class layers
            is loaded, also where they have the same size.
    """

    priority = 'VERY_HIGH'  # before averages (EMA) take the weights

    def __init__(self, other_classes: str = 'refuse') -> None:
        if other_classes not in ('refuse', 'afresh'):
            raise ValueError(f"other_classes must be 'refuse' or 'afresh', not {other_classes!r}")
        self.afresh = other_classes == 'afresh'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Change the state dict that is about to be loaded.

        Raises:
            ClassOrderError: The classes are others; the message has the file and both lists.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if hasattr(model, 'adapt_checkpoint'):
            model.adapt_checkpoint(checkpoint)
        try:
            told = follow_classes_in_training(
                checkpoint, model, model_classes(runner.cfg), runner._resume, self.afresh
            )
        except ClassOrderError as error:
            raise ClassOrderError(f'{runner._load_from}: {error}') from error
        if told:
            runner.logger.info(f'{runner._load_from}: {told}')
