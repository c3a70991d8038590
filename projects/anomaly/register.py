"""Importing this registers the data sets, the metric and the visualizer (configs: ``custom_imports``)."""

from ..files import loading  # noqa: F401  errors of images name the file
from . import datasets, metric, visualizer

__all__ = ['datasets', 'metric', 'visualizer']
