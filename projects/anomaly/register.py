"""Importing this registers data sets, the loading of label maps and masks, the metric and the visualizer."""

from .. import frameworks  # noqa: F401
from ..files import transforms
from . import datasets, metric, visualizer

__all__ = ['datasets', 'metric', 'transforms', 'visualizer']
