"""Importing this registers all that BDD100K tracking configs name."""

from . import det, track_dataset, track_metric, track_sampler

__all__ = ['det', 'track_dataset', 'track_metric', 'track_sampler']
