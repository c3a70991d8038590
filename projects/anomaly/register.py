"""Importing this registers data sets, the loading of label maps and masks, the metric and the visualizer."""

from ..files import transforms
from ..runtime import frameworks  # noqa: F401
from . import datasets, metric, visualizer

__all__ = ['datasets', 'metric', 'transforms', 'visualizer']
