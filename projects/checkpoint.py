"""Reading checkpoints without running what is in them, and loading them into models strictly."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class CheckpointError(ValueError):
    """A checkpoint cannot be read safely, or does not fit; the message says what to do."""


def load_state_file(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """What a checkpoint file holds, tensors on the CPU.

    ``.pth`` and ``.pt`` are read weights-only (with numpy's scalars and arrays, which old training
    meta data has); ``.pkl`` through an unpickler that knows numpy arrays and nothing else;
    ``.safetensors`` as they are. No code from the file is run.

    Args:
        path: The file.
        trust: Unpickle anything: runs code that the file may hold. Only for files of your own.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: The file holds objects that are not weights, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    try:
        if path.suffix == '.pkl' and not _is_zip(path):
            return _load_pickle(path, trust)
        return _load_torch(path, trust)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f'{path} is not weights alone: {_first_line(error)}. Nothing in it was run. If the file is your own, '
            'read it with trust=True (tools: --trust-checkpoint).'
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f'{path} cannot be read: {_first_line(error)} (cut off while downloading?)'
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _is_zip(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(2) == b'PK'


def _load_torch(path: Path, trust: bool) -> dict[str, Any]:
    if trust:
        return torch.load(path, map_location='cpu', weights_only=False)
    with torch.serialization.safe_globals(_safe_globals()):
        return torch.load(path, map_location='cpu', weights_only=True)


class _LoggedValues:
    """Stands for mmengine's ``HistoryBuffer``: every checkpoint of a training holds some, nobody reads them."""


def _no_attribute(*_: Any) -> None:
    """Stands for ``getattr``, by which a ``HistoryBuffer`` names its own methods."""


def _safe_globals() -> list:
    """Numpy's scalars, arrays and dtypes under their old and new module names; stand-ins for mmengine's log."""
    from numpy._core import multiarray

    allowed = [np.ndarray, np.dtype, np.bool_, OrderedDict]
    allowed += [(_LoggedValues, 'mmengine.logging.history_buffer.HistoryBuffer')]
    allowed += [(_no_attribute, 'builtins.getattr')]
    for name in ('scalar', '_reconstruct'):
        function = getattr(multiarray, name)
        allowed += [function, (function, f'numpy.core.multiarray.{name}')]
    kinds = (
        'bool',
        'float16',
        'float32',
        'float64',
        'int8',
        'int16',
        'int32',
        'int64',
        'uint8',
        'uint16',
        'uint32',
    )
    allowed += [type(np.dtype(kind)) for kind in (*kinds, 'uint64', 'str', 'bytes')]
    return allowed


class _NumpyUnpickler(pickle.Unpickler):
    """Finds what numpy arrays are made of; anything else is refused."""

    _ALLOWED = {
        ('numpy', 'ndarray'),
        ('numpy', 'dtype'),
        ('collections', 'OrderedDict'),
        ('_codecs', 'encode'),
        *(
            (f'numpy.{core}.multiarray', name)
            for core in ('core', '_core')
            for name in ('_reconstruct', 'scalar')
        ),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f'it wants to load {module}.{name}')
        return super().find_class(module.replace('numpy.core.', 'numpy._core.'), name)


def _load_pickle(path: Path, trust: bool) -> dict[str, Any]:
    with open(path, 'rb') as file:
        if trust:
            return pickle.load(file, encoding='latin1')
        return _NumpyUnpickler(io.BytesIO(file.read()), encoding='latin1').load()


def state_dict_of(content: Mapping[str, Any], ema: bool = True) -> dict[str, Tensor]:
    """The flat state dict in a checkpoint of mmengine or mmcv 1.x.

    ``module.`` prefixes are dropped. Where an EMA hook of mmdet 2.x kept averaged weights
    (``ema_a_b`` for ``a.b``), those replace the others, as its evaluation did, unless ``ema`` is False.
    """
    state = content.get('state_dict', content.get('model', content))
    state = {k.removeprefix('module.'): v for k, v in state.items() if isinstance(v, Tensor)}
    averaged = {k: v for k, v in state.items() if k.startswith('ema_')}
    state = {k: v for k, v in state.items() if k not in averaged}
    if averaged and ema:
        by_flat = {'ema_' + k.replace('.', '_'): k for k in state}
        state.update({by_flat[k]: v for k, v in averaged.items() if k in by_flat})
    return state


def load_checkpoint(model: nn.Module, path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """Load a checkpoint into a model with nothing missing and nothing left over.

    Returns:
        The checkpoint's meta data (classes of mmdet 2.x under ``dataset_meta`` too).

    Raises:
        CheckpointError: Keys are missing, left over or of another shape; the message lists them and
            names the configs whose models they do fit.
    """
    content = load_state_file(path, trust=trust)
    state = state_dict_of(content)
    problems = compare_keys(state, model.state_dict())
    if problems:
        from .zoo import configs_that_fit

        fits = configs_that_fit(state)
        hint = f'It fits: {", ".join(fits)}.' if fits else 'No config of the zoo has these keys.'
        raise CheckpointError(f'{path} does not fit this model:\n{problems}\n{hint}')
    model.load_state_dict(state, strict=False)  # buffers that a model derives itself may be absent
    meta = dict(content.get('meta') or {}) if isinstance(content.get('meta'), Mapping) else {}
    if 'CLASSES' in meta and 'dataset_meta' not in meta:
        meta['dataset_meta'] = dict(classes=tuple(meta['CLASSES']))
    return meta


#: Buffers that models derive themselves and old checkpoints may lack.
DERIVED = ('num_batches_tracked', 'relative_position_index', 'integral.project')


def compare_keys(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> str:
    """What does not fit, one line a key (at most ten of a kind); empty where all does."""
    lines = []
    missing = [k for k in target if k not in state and not k.endswith(DERIVED)]
    left = [k for k in state if k not in target and not k.endswith(DERIVED)]
    shapes = [
        f'{k}: {tuple(state[k].shape)} in the file, {tuple(target[k].shape)} in the model'
        for k in state
        if k in target and state[k].shape != target[k].shape
    ]
    for what, keys in (('missing', missing), ('left over', left), ('of another shape', shapes)):
        if keys:
            lines.append(f'  {len(keys)} {what}: {", ".join(keys[:10])}{", ..." if len(keys) > 10 else ""}')
    return '\n'.join(lines)
