"""Importing this registers the data sets and the metric (configs: ``custom_imports``)."""

from . import datasets, metric

__all__ = ['datasets', 'metric']
