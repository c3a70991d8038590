"""The frameworks as they are without mmroad, beside which it is measured."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator


@contextlib.contextmanager
def stock_operators() -> Iterator[None]:
    """mmcv's operators and mmdet's region extractors without what mmroad's import puts in their place."""
    from mmdet.models.roi_heads.roi_extractors import GenericRoIExtractor, SingleRoIExtractor

    from mmroad.runtime.speed.operators import FUNCTIONS

    owners = [getattr(importlib.import_module(f'mmcv.ops.{module}'), name) for module, name in FUNCTIONS]
    replaced = [
        (owner, way, vars(owner)[way])
        for owner in (*owners, GenericRoIExtractor, SingleRoIExtractor)
        for way in ('forward', 'backward')
        if way in vars(owner)
    ]
    for owner, way, ours in replaced:
        plain = inspect.unwrap(getattr(ours, '__func__', ours))
        setattr(owner, way, staticmethod(plain) if isinstance(ours, staticmethod) else plain)
    try:
        yield
    finally:
        for owner, way, ours in replaced:
            setattr(owner, way, ours)
