"""What may be created while a file of weights is unpickled: arrays, tensors and the containers around
them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import numpy as np

_KINDS = (
    *('bool', 'float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64'),
    *('uint8', 'uint16', 'uint32', 'uint64', 'str', 'bytes'),
)


class _LoggedValues:
    """Stands for mmengine's ``HistoryBuffer``: every checkpoint of a training holds some, nobody reads them."""


def _no_attribute(*_: Any) -> None:
    """Stands for ``getattr``, by which a ``HistoryBuffer`` names its own methods."""


def safe_globals() -> list:
    """For torch's weights-only reading: numpy's scalars, arrays and dtypes under their old and new module
    names; stand-ins for mmengine's log."""
    from numpy._core import multiarray

    allowed: list[Any] = [np.ndarray, np.dtype, np.bool_, OrderedDict, slice]
    allowed += [(_LoggedValues, 'mmengine.logging.history_buffer.HistoryBuffer')]
    allowed += [(_no_attribute, 'builtins.getattr')]
    for name in ('scalar', '_reconstruct'):
        function = getattr(multiarray, name)
        allowed += [function, (function, f'numpy.core.multiarray.{name}')]
    return allowed + [type(np.dtype(kind)) for kind in _KINDS]


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as pickles of numpy arrays call it: with latin1 alone."""
    if encoding not in ('latin1', 'latin-1'):
        raise pickle.UnpicklingError(f'it wants to encode with {encoding}')
    return text.encode('latin1')


class NumpyUnpickler(pickle.Unpickler):
    """Finds what numpy arrays are made of; anything else is refused by name."""

    _ALLOWED = {
        ('numpy', 'ndarray'),
        ('numpy', 'dtype'),
        ('collections', 'OrderedDict'),
        *(
            (f'numpy.{core}.{module}', name)
            for core in ('core', '_core')
            for module, name in (
                ('multiarray', '_reconstruct'),
                ('multiarray', 'scalar'),
                ('numeric', '_frombuffer'),
            )
        ),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('_codecs', 'encode'):
            return _encode
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f'it wants to load {module}.{name}')
        return super().find_class(module.replace('numpy.core.', 'numpy._core.'), name)
