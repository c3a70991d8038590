"""Importing this registers data sets, the loading of label maps and masks, the metric and the visualizer."""

from ..files import loading, transforms  # noqa: F401  errors of images name the file
from . import datasets, metric, visualizer

__all__ = ['datasets', 'metric', 'transforms', 'visualizer']
