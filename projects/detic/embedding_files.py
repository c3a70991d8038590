"""Files of class embeddings: .npy, .npz, .safetensors and PyTorch's, with names or without."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..zoo.checkpoint import load_content

#: The files that embeddings are read from, by their suffix.
SUFFIXES = ('.npy', '.npz', '.safetensors', '.pt', '.pth')
KEY = 'embeddings'


class EmbeddingFile(NamedTuple):
    """What a file of class embeddings holds."""

    embeddings: np.ndarray  #: (C, dim)
    names: tuple[str, ...] | None  #: Of the rows, where the file has them.


def read_embeddings(path: str | Path, dim: int = 512) -> EmbeddingFile:
    """Class embeddings of a file.

    A .npy file is the array, either way round. The others hold it as ``embeddings`` or as their only array, or
    hold one vector a class under its name. Names are those keys; or the strings ``names`` of a .npz, of a
    PyTorch file or, as JSON, of the header of a .safetensors file.

    Args:
        path: The file.
        dim: Length of an embedding.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Another kind of file, damaged, or without such an array; names the file, what is in it and
            what is wanted.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'class embeddings {path} not found: place the file there (datasets/metadata of Detic has those '
            'of COCO, LVIS, Objects365 and OpenImages), or compute it (mmroad vocabulary)'
        )
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f'{path}: class embeddings are read from {", ".join(SUFFIXES)}, not from {path.name}'
        )
    try:
        arrays, names = _READERS[path.suffix](path)
    except Exception as error:  # each library has errors of its own for damaged files
        reason = 'it is empty' if not path.stat().st_size else f'{type(error).__name__}: {error}'
        raise ValueError(
            f'{path}: not a {path.suffix} file of class embeddings that can be read: {reason}'
        ) from error
    array, keys = _chosen(arrays, dim)
    if array is None:
        found = ', '.join(f'{key or "the array"} {a.dtype} {a.shape}' for key, a in list(arrays.items())[:8])
        raise ValueError(
            f'{path}: expected class embeddings of C x {dim} numbers under the key {KEY!r} (or alone in the file), '
            f'or a vector of {dim} a class under its name; found {found or "nothing"}'
        )
    names = keys if names is None else names
    if names is not None and len(names) != len(array):
        raise ValueError(f'{path}: {len(names)} names for {len(array)} embeddings')
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(1))
        first = f' ({names[rows[0]]})' if names is not None else ''
        raise ValueError(
            f'{path}: class embeddings with non-finite values, the first in row {rows[0]}{first}'
        )
    return EmbeddingFile(np.array(array, np.float32), names)


def _chosen(arrays: Mapping[str, np.ndarray], dim: int) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """The array (C, dim), and the names that the keys are."""
    array = arrays.get(KEY, next(iter(arrays.values())) if len(arrays) == 1 else None)
    numbers = array is not None and array.dtype.kind in 'fiu'
    if numbers and array.ndim == 2 and dim in array.shape and array.size:
        return array if array.shape[1] == dim else array.T, None
    if (
        arrays
        and all(a.shape == (dim,) and a.dtype.kind == 'f' for a in arrays.values())
        and '' not in arrays
    ):
        return np.stack(list(arrays.values())), tuple(arrays)
    return None, None


Found = tuple[dict[str, np.ndarray], tuple[str, ...] | None]


def _read_npy(path: Path) -> Found:
    with open(path, 'rb') as file:
        return {'': np.lib.format.read_array(file, allow_pickle=False)}, None


def _read_npz(path: Path) -> Found:
    with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    names = arrays.pop('names', None)
    return arrays, None if names is None else tuple(map(str, names.tolist()))


def _read_safetensors(path: Path) -> Found:
    from safetensors import safe_open

    with safe_open(path, 'numpy') as file:
        arrays, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    return arrays, tuple(map(str, json.loads(metadata['names']))) if 'names' in metadata else None


def _read_torch(path: Path) -> Found:
    import torch

    content = load_content(path)
    if isinstance(content, torch.Tensor):
        content = {'': content}
    if not isinstance(content, Mapping):
        raise ValueError(f'it holds a {type(content).__name__}')
    names = content.get('names')
    tensors = {str(k): v.detach() for k, v in content.items() if isinstance(v, torch.Tensor)}
    arrays = {k: (v.float() if v.is_floating_point() else v).numpy() for k, v in tensors.items()}
    return arrays, None if names is None else tuple(map(str, names))


_READERS = {
    '.npy': _read_npy,
    '.npz': _read_npz,
    '.safetensors': _read_safetensors,
    '.pt': _read_torch,
    '.pth': _read_torch,
}
