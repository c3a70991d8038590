"""Importing this registers all that BDD100K detection configs name."""

from ..runtime import frameworks  # noqa: F401
from . import dataset, hooks, metric, transforms

__all__ = ['dataset', 'hooks', 'metric', 'transforms']
