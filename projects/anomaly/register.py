"""Importing this registers the data sets, the metric and the visualizer (configs: ``custom_imports``)."""

from . import datasets, metric, visualizer

__all__ = ['datasets', 'metric', 'visualizer']
