"""Vocabularies: class names with their embeddings, from a file or from a checkpoint's own classifier."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..files import replacing
from ..files.json_files import read_json
from .embedding_files import read_embeddings

#: Where class names are known without a file: name -> mmdet's dataset.
KNOWN_NAMES = dict(coco='CocoDataset', lvis='LVISV1Dataset', objects365='Objects365V2Dataset')


class Vocabulary(NamedTuple):
    """Class names and their embeddings (C, D), float32, not necessarily of unit length."""

    names: tuple[str, ...]
    embeddings: Tensor


def parse_names(text: str | Sequence[str]) -> tuple[str, ...]:
    """Names from a comma list or a sequence, whose names may have commas; blanks around names are dropped.

    Raises:
        ValueError: An empty name, no name at all, something that is no text, or one given twice.
    """
    names = tuple(text.split(',') if isinstance(text, str) else text)
    others = [name for name in names if not isinstance(name, str)]
    if others:
        raise ValueError(f'class names are text, not {others[0]!r} ({type(others[0]).__name__})')
    names = tuple(name.strip() for name in names)
    if not names or '' in names:
        raise ValueError(f'empty class name in the vocabulary {_short(text)}')
    twice = sorted(name for name, n in Counter(name.lower() for name in names).items() if n > 1)
    if twice:
        raise ValueError(f'class names given more than once: {", ".join(twice)}')
    return names


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f'{text[:200]}...'


def read_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Class names of ``coco``, ``lvis`` or ``objects365`` (version 2), or of a file in the order of its ids:
    JSON (a list of names or of categories, or an annotation file that has ``categories``) or text, one name a
    line.

    Raises:
        FileNotFoundError: Neither a known data set nor a file.
        ValueError: A name twice, an empty one, or a file of another form; the message names the file.
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
    names = _names_of_json(path) if path.suffix == '.json' else read_lines(path)
    try:
        return parse_names(names)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file in UTF-8, without empty ones at the end.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not text in UTF-8; names the file.
    """
    try:
        return Path(path).read_text(encoding='utf-8-sig').rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not a text file in UTF-8 with a name a line: {error}') from error


def parse_words(text: str) -> dict[str, str]:
    """Class names, and what stands for each.

    Args:
        text: Comma list of ``NAME`` or ``NAME=OTHER``, or ``@FILE`` of such, one a line.
    """
    pairs = [t.partition('=') for t in (read_lines(text[1:]) if text.startswith('@') else text.split(','))]
    names = parse_names([name for name, _, _ in pairs])
    return {name: (other or name).strip() for name, (_, _, other) in zip(names, pairs)}


def _names_of_json(path: Path) -> list:
    content = read_json(path)
    categories = content.get('categories') if isinstance(content, Mapping) else content
    if not isinstance(categories, list) or not categories:
        keys = f'; found the keys {_short(sorted(content))}' if isinstance(content, Mapping) else ''
        raise ValueError(f'{path}: expected a list of names or of categories, or "categories" of them{keys}')
    if all(isinstance(c, str) for c in categories):
        return categories
    if not all(isinstance(c, Mapping) and {'id', 'name'} <= set(c) for c in categories):
        raise ValueError(
            f'{path}: expected a list of categories with "id" and "name", or "categories" of them'
        )
    ids = [c['id'] for c in categories]
    if not all(isinstance(i, int) for i in ids) or len(set(ids)) < len(ids):
        raise ValueError(f'{path}: the ids of categories must be whole numbers, each once')
    return [c['name'] for c in sorted(categories, key=lambda c: c['id'])]


def load_embeddings(path: str | Path, num_classes: int | None = None, dim: int = 512) -> Tensor:
    """Class embeddings (C, dim), float32, of a file (see ``embedding_files``).

    Raises:
        FileNotFoundError: No such file.
        ValueError: No such array in the file, non-finite values, or another number of classes than
            ``num_classes``.
    """
    array = read_embeddings(path, dim).embeddings
    if num_classes is not None and len(array) != num_classes:
        raise ValueError(f'{path} holds {len(array)} classes, the model has {num_classes}')
    return torch.from_numpy(array)


def save_vocabulary(vocabulary: Vocabulary, path: str | Path) -> None:
    """Write a .safetensors file: ``embeddings`` (C, D) and, in its header, ``names`` in their order."""
    from safetensors.numpy import save_file

    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f'{path}: a vocabulary is written as .safetensors; name the file so')
    embeddings = np.ascontiguousarray(vocabulary.embeddings.numpy(), dtype=np.float32)
    with replacing(path) as part:
        save_file(dict(embeddings=embeddings), part, dict(names=json.dumps(vocabulary.names)))


def load_vocabulary(
    path: str | Path, names: str | Path | Sequence[str] | None = None, dim: int = 512
) -> Vocabulary:
    """Names and embeddings of a file.

    Args:
        path: A file of embeddings, with names (``save_vocabulary``) or without.
        names: For a file with names, those to pick: a list, a comma list, or a file of names. For another, the
            names of its rows: what ``read_names`` takes, or a comma list.
        dim: Length of an embedding.
    """
    array, own = read_embeddings(path, dim)
    embeddings = torch.from_numpy(array)
    if own is not None:
        try:
            vocabulary = Vocabulary(parse_names(own), embeddings)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
        if names is None:
            return vocabulary
        return select(vocabulary, read_names(names) if _is_file(names) else names)
    if names is None:
        raise ValueError(f'{path} holds no class names: give them in the order of its {len(embeddings)} rows')
    listed = isinstance(names, str) and ',' in names and not _is_file(names)
    names = parse_names(names) if listed else read_names(names)
    if len(names) != len(embeddings):
        raise ValueError(f'{path} holds {len(embeddings)} embeddings, but {len(names)} names are given')
    return Vocabulary(names, embeddings)


def _is_file(names: str | Path | Sequence[str]) -> bool:
    return isinstance(names, Path) or (isinstance(names, str) and Path(names).is_file())


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


#: LVIS's files spell this name so, its other lists as it should be.
_MISSPELT = {'speaker (stero equipment)': 'speaker (stereo equipment)'}


def plain_name(name: str) -> str:
    """A class name as names are compared: lower case, blanks for ``_``."""
    plain = name.replace('_', ' ').strip().lower()
    return _MISSPELT.get(plain, plain)


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
            array, names = read_embeddings(path, len(own))
            rows = torch.from_numpy(array).to(own)
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
