"""Importing this registers all that BDD100K detection configs name."""

from ..files import loading  # noqa: F401  errors of images name the file
from ..weights import register_imagenet_scheme
from . import dataset, hooks, metric, transforms

__all__ = ['dataset', 'hooks', 'metric', 'transforms']

register_imagenet_scheme()
