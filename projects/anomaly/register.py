"""Importing this registers data sets, the loading of label maps and masks, the metric, its refinement and the
visualizer."""

from ..files import transforms
from ..runtime import frameworks  # noqa: F401
from . import datasets, metric, refinement, visualizer

__all__ = ['datasets', 'metric', 'refinement', 'transforms', 'visualizer']
