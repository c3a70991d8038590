"""Vocabularies: class names with their embeddings, from a file or from a checkpoint's own classifier."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Where class names are known without a file: name -> mmdet's dataset.
KNOWN_NAMES = dict(coco='CocoDataset', lvis='LVISV1Dataset', objects365='Objects365V2Dataset')


class Vocabulary(NamedTuple):
    """Class names and their embeddings (C, D), float32, not necessarily of unit length."""

    names: tuple[str, ...]
    embeddings: Tensor


def parse_names(text: str | Sequence[str]) -> tuple[str, ...]:
    """Names from a comma list (blanks around them are dropped) or a sequence.

    Raises:
        ValueError: An empty name, no name at all, or one given twice.
    """
    names = tuple(name.strip() for name in (text.split(',') if isinstance(text, str) else text))
    if not names or '' in names:
        raise ValueError(f'empty class name in the vocabulary {text!r}')
    lower = [name.lower() for name in names]
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        raise ValueError(f'class names given more than once: {", ".join(twice)}')
    return names


def read_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Class names of ``coco``, ``lvis`` or ``objects365`` (version 2), or of a file in the order of its ids:
    JSON (a list of categories, or an annotation file that has ``categories``) or text, one name a line.

    Raises:
        FileNotFoundError: Neither a known data set nor a file.
        ValueError: A name twice, an empty one, or JSON of another form.
    """
    if not isinstance(source, (str, Path)):
        return parse_names(source)
    if str(source) in KNOWN_NAMES:
        from mmdet import datasets

        return parse_names(getattr(datasets, KNOWN_NAMES[str(source)]).METAINFO['classes'])
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f'class names {str(source)!r}: neither a file nor one of {", ".join(KNOWN_NAMES)}'
        )
    if path.suffix != '.json':
        return parse_names(path.read_text().splitlines())
    content = json.loads(path.read_text())
    categories = content.get('categories') if isinstance(content, Mapping) else content
    if not categories or not all(isinstance(c, Mapping) and {'id', 'name'} <= set(c) for c in categories):
        raise ValueError(
            f'{path}: expected a list of categories with "id" and "name", or "categories" of them'
        )
    return parse_names([c['name'] for c in sorted(categories, key=lambda c: c['id'])])


def load_embeddings(path: str | Path, num_classes: int | None = None, dim: int = 512) -> Tensor:
    """Class embeddings (C, dim), float32, from a .npy of C x dim either way round, or from a
    .safetensors file (its only tensor, or one tensor of ``dim`` values a class name).

    Raises:
        FileNotFoundError: No such file.
        ValueError: The array is not two-dimensional of length ``dim``, holds non-finite values,
            or has another number of classes than ``num_classes``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'class embeddings {path} not found: place the file there (datasets/metadata of Detic has those '
            'of COCO, LVIS, Objects365 and OpenImages), or compute it (tools/make_vocabulary.py)'
        )
    array = _read_array(path)
    if array.ndim != 2 or dim not in array.shape:
        raise ValueError(f'{path}: expected class embeddings of C x {dim}, found an array of {array.shape}')
    if array.shape[1] != dim:
        array = array.T
    if not np.isfinite(array).all():
        raise ValueError(f'{path}: class embeddings with non-finite values')
    if num_classes is not None and len(array) != num_classes:
        raise ValueError(f'{path} holds {len(array)} classes, the model has {num_classes}')
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _read_array(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False) if path.suffix == '.npy' else _read_safetensors(path)[1]


def _read_safetensors(path: Path) -> tuple[list[str] | None, np.ndarray]:
    """Names, where the file has them, and embeddings."""
    from safetensors import safe_open

    with safe_open(path, 'numpy') as file:
        keys, metadata = list(file.keys()), file.metadata() or {}
        tensors = [file.get_tensor(key) for key in keys]
    if len(tensors) == 1 and tensors[0].ndim == 2:
        return json.loads(metadata['names']) if 'names' in metadata else None, tensors[0]
    return keys, np.stack(tensors)  # one vector a class


def save_vocabulary(vocabulary: Vocabulary, path: str | Path) -> None:
    """Write a .safetensors file: ``embeddings`` (C, D) and, in its header, ``names`` in their order."""
    from safetensors.numpy import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    embeddings = np.ascontiguousarray(vocabulary.embeddings.numpy(), dtype=np.float32)
    save_file(dict(embeddings=embeddings), part, dict(names=json.dumps(vocabulary.names)))
    os.replace(part, path)


def load_vocabulary(
    path: str | Path, names: str | Path | Sequence[str] | None = None, dim: int = 512
) -> Vocabulary:
    """Names and embeddings of a file.

    Args:
        path: .safetensors with names (``save_vocabulary``), or .npy or .safetensors without.
        names: For a file with names, those to pick; for another, the names of its rows (what
            ``read_names`` takes, or a comma list).
        dim: Length of an embedding.
    """
    path = Path(path)
    embeddings = load_embeddings(path, dim=dim)
    own = _read_safetensors(path)[0] if path.suffix == '.safetensors' else None
    if own is not None:
        vocabulary = Vocabulary(parse_names(own), embeddings)
        return vocabulary if names is None else select(vocabulary, names)
    if names is None:
        raise ValueError(f'{path} holds no class names: give them in the order of its {len(embeddings)} rows')
    names = parse_names(names) if isinstance(names, str) and ',' in names else read_names(names)
    if len(names) != len(embeddings):
        raise ValueError(f'{path} holds {len(embeddings)} embeddings, but {len(names)} names are given')
    return Vocabulary(names, embeddings)


def select(vocabulary: Vocabulary, names: str | Sequence[str]) -> Vocabulary:
    """The given names' part of a vocabulary; ``_`` and blank count as equal, and upper case as lower.

    Raises:
        ValueError: Names that the vocabulary lacks, with those that are near.
    """
    names = parse_names(names)
    rows = {plain_name(name): i for i, name in enumerate(vocabulary.names)}
    unknown = [name for name in names if plain_name(name) not in rows]
    if unknown:
        raise ValueError(
            f'names that the vocabulary of {len(rows)} classes lacks: {near_names(unknown, list(rows))}'
        )
    return Vocabulary(names, vocabulary.embeddings[[rows[plain_name(name)] for name in names]])


def plain_name(name: str) -> str:
    """A class name as names are compared: lower case, blanks for ``_``."""
    return name.replace('_', ' ').strip().lower()


def near_names(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Unknown names with the known ones that are near, for a message."""
    from difflib import get_close_matches

    plain = [plain_name(name) for name in known]
    near = {name: get_close_matches(plain_name(name), plain, 3) for name in unknown}
    return '; '.join(f'{name} (near: {", ".join(hits) or "none"})' for name, hits in near.items())


def merge(*vocabularies: Vocabulary) -> Vocabulary:
    """Vocabularies one after another; a name in two of them is refused."""
    names = parse_names([name for v in vocabularies for name in v.names])
    return Vocabulary(names, torch.cat([F.normalize(v.embeddings.float(), dim=1) for v in vocabularies]))


def classifier_matrix(embeddings: Tensor) -> Tensor:
    """(dim, C + 1): the embeddings (C, dim) as unit columns and a zero column for the background."""
    return F.pad(F.normalize(embeddings.float(), dim=1).t(), (0, 1)).contiguous()


def vocabulary_matrix(
    spec: str | Path | Mapping[str, str], own: Tensor, own_names: Sequence[str] | None = None
) -> Tensor:
    """The classifier (dim, C + 1) of a config's vocabulary.

    Args:
        spec: A file of embeddings; or for each class where its embedding is: ``FILE#ROW`` or
            ``FILE#NAME``, and without a file (``#ROW``, ``#NAME``) a column of the model's own.
        own: (dim, K + 1) the model's own classifier.
        own_names: Names of its columns, for ``#NAME``.

    Raises:
        ValueError: A row or name that is not there; names the class.
    """
    if not isinstance(spec, Mapping):
        return classifier_matrix(load_embeddings(spec, dim=len(own))).to(own)
    parse_names(list(spec))
    columns = []
    for name, place in spec.items():
        path, _, key = place.rpartition('#')
        if path:
            rows = load_embeddings(path, dim=len(own)).to(own)
            names = _read_safetensors(Path(path))[0] if path.endswith('.safetensors') else None
        else:
            rows, names = own[:, :-1].t(), own_names
        columns.append(rows[_row(key, len(rows), names, f'vocabulary, class {name!r}: {place}')])
        if not columns[-1].isfinite().all():
            raise ValueError(f'vocabulary, class {name!r}: {place} is not finite (load a checkpoint first)')
    return classifier_matrix(torch.stack(columns)).to(own)


def _row(key: str, count: int, names: Sequence[str] | None, place: str) -> int:
    if key.isdigit():
        if int(key) >= count:
            raise ValueError(f'{place}: there are {count} rows')
        return int(key)
    names = names if names is not None and len(names) == count else ()
    plain = [plain_name(name) for name in names]
    if plain_name(key) not in plain:
        known = f'it is none of {count} names' if names else 'the names are not known: give the row'
        raise ValueError(f'{place}: no class {key!r}; {known}')
    return plain.index(plain_name(key))


def own_columns(
    spec: Mapping[str, str], num_classes: int, own_names: Sequence[str] | None = None
) -> list[int]:
    """The columns of a vocabulary that picks among a model's own classes (``#ROW`` or ``#NAME``).

    Raises:
        ValueError: A class is to come from a file, which a learned classifier cannot take.
    """
    foreign = [name for name, place in spec.items() if not place.startswith('#')]
    if foreign:
        raise ValueError(
            f'{", ".join(foreign)}: this model has a learned classifier of {num_classes} classes; its '
            'vocabulary can only pick among them (#ROW or #NAME)'
        )
    return [_row(p[1:], num_classes, own_names, f'vocabulary, class {n!r}') for n, p in spec.items()]
