"""Importing this registers all that BDD100K detection configs name."""

from . import dataset, metric, transforms

__all__ = ['dataset', 'metric', 'transforms']
