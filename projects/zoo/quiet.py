"""What the frameworks print while they are imported and nobody can act on is left out."""

from __future__ import annotations

import functools
import logging
import warnings
from typing import Any

from .when_imported import when_imported


def quiet_when_imported() -> None:
    """Leave out mmdet's and mmseg's lines on packages that nothing here needs ("Could not import OneDL", once a rank
    and module), and mmdet's warning about a metric that nothing here uses."""
    when_imported('mmengine.logging.logger', _respect_levels)
    warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')


def _respect_levels(module: Any) -> None:
    """mmengine prints messages without a logger whatever their level: those for debugging are left out."""
    print_log = module.print_log

    @functools.wraps(print_log)
    def above_debug(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if logger is not None or level > logging.DEBUG:
            print_log(msg, logger, level)

    module.print_log = above_debug
