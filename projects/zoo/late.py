"""Packages that mmdet imports at its start and few models use are imported when they are used.

``imgaug`` and ``imagecorruptions`` (with numba and scipy.stats) and ``scikit-learn`` (with pandas) take a third of the
time that importing mmdet takes. Transforms of lanes and corruptions, PAA's head and the interpolation of tracks use
them; whoever imports them otherwise gets them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .when_imported import when_imported

#: Module of mmdet -> what it imports that can wait.
_LATE = {
    'mmdet.datasets.transforms.transforms': ('imagecorruptions',),
    'mmdet.datasets.transforms.generate_line': (
        'imgaug',
        'imgaug.augmenters',
        'imgaug.augmentables',
        'imgaug.augmentables.lines',
        'imgaug.augmentables.segmaps',
    ),
    'mmdet.models.task_modules.tracking.interpolation': (
        'sklearn',
        'sklearn.gaussian_process',
        'sklearn.gaussian_process.kernels',
    ),
    'mmdet.models.dense_heads.paa_head': ('sklearn', 'sklearn.mixture'),
}


def import_late() -> None:
    """Let these modules of mmdet take names for the packages, until a name is called or asked for something."""
    for name, packages in _LATE.items():
        when_imported(name, around=functools.partial(_names_for, packages))


@contextlib.contextmanager
def _names_for(packages: tuple[str, ...]) -> Iterator[None]:
    """Stand-ins for packages that are installed and not imported yet, for the time of one import."""
    if packages[0] in sys.modules or importlib.util.find_spec(packages[0]) is None:
        yield
        return
    sys.modules.update({name: _Package(name) for name in packages})
    try:
        yield
    finally:
        for name in packages:
            del sys.modules[name]


class _Package(ModuleType):
    """A module of which every attribute is a `_Name`."""

    def __getattr__(self, name: str) -> _Name:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Name(self.__name__, name)


class _Name:
    """A class, function or module of a package, imported when it is called or asked for an attribute."""

    def __init__(self, package: str, name: str) -> None:
        self._where = package, name

    def _real(self) -> Any:
        package, name = self._where
        try:
            return getattr(importlib.import_module(package), name)
        except AttributeError:
            return importlib.import_module(f'{package}.{name}')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)
