"""What a checkpoint holds, as plain tensors, numbers, texts, lists and dicts, and back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_PLAIN = (Tensor, bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


def to_plain(value: Any, name: str = '', others: list[str] | None = None) -> Any:
    """A value made of plain ones, which weights-only reading takes.

    NumPy's numbers and arrays become Python's numbers and lists, paths texts, sets sorted lists, and
    mmengine's ``HistoryBuffer`` a dict of tensors. An object of another type stays what it is.

    Args:
        value: Anything.
        name: What it is called in ``others``.
        others: Gets name and type of every object that stayed what it is.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.nn.Parameter):
        return value.detach()
    if type(value) in _PLAIN or isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist(), name, others)
    if isinstance(value, HistoryBuffer):
        history, counts = value.data
        return dict(
            history=torch.from_numpy(np.array(history)),
            counts=torch.from_numpy(np.array(counts)),
            max_length=int(value.max_length),
        )
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((to_plain(k), to_plain(v, f'{name}.{k}'.lstrip('.'), others)) for k, v in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted((to_plain(v, name, others) for v in value), key=repr)
    if isinstance(value, (list, tuple)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(to_plain(v, f'{name}[{i}]', others) for i, v in enumerate(value))
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, float, str, bytes):  # subclasses, such as a str that carries something
        if isinstance(value, kind):
            return kind(value)
    if others is not None:
        others.append(f'{name} ({type(value).__module__}.{type(value).__qualname__})')
    return value


def pack(checkpoint: dict[str, Any]) -> list[str]:
    """Make a checkpoint of mmengine plain, in place.

    Returns:
        What could not be made plain: reading the file will need ``--trust-checkpoint``.
    """
    others: list[str] = []
    for key, value in checkpoint.items():
        if key not in ('state_dict', 'ema_state_dict'):  # tensors by name, with torch's own meta data
            checkpoint[key] = to_plain(value, key, others)
    return others


def unpack(checkpoint: dict[str, Any]) -> list[str]:
    """Give mmengine back what it needs to go on, in place; checkpoints of mmengine alone stay as they are.

    Returns:
        Names of logged values that weights-only reading of such a checkpoint could not read; they are left out.
    """
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    unread = []
    for key, value in list(scalars.items()):
        if isinstance(value, Mapping) and {'history', 'counts'} <= value.keys():
            history, counts = (np.asarray(value[k]) for k in ('history', 'counts'))
            scalars[key] = HistoryBuffer(history, counts, max_length=value['max_length'])
        elif not isinstance(value, HistoryBuffer):
            unread.append(key)
            del scalars[key]
    return unread
