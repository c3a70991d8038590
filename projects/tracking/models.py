"""Importing this registers the models of tracking, and the data set and metric of BDD100K's box tracking."""

from ..bdd100k import track  # noqa: F401
from . import quasi_dense

__all__ = ['quasi_dense']
