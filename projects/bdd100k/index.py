"""A cache of a label file's columns, mapped into memory, so that opening it again takes no time and
dataloader workers share one copy."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import replacing
from .categories import BDD100K, Categories
from .columns import Columns, read_columns
from .scalabel import LabelFileError, json_files

#: Part of every key: another layout or reading makes other caches.
VERSION = 4
_MAGIC = b'mmroad-index'
_CHECKSUM = 16  # bytes, of all that follows it
_MISSING = b'\xff'  # no text in UTF-8


class Names(Sequence):
    """Strings kept as one block of UTF-8; None where an entry is missing."""

    def __init__(self, text: np.ndarray, ends: np.ndarray) -> None:
        self.text, self.ends = text, ends

    @classmethod
    def of(cls, names: Sequence[str | None]) -> Names:
        encoded = [_MISSING if name is None else name.encode() for name in names]
        ends = np.cumsum([len(e) for e in encoded], dtype=np.int64)
        return cls(np.frombuffer(b''.join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> str | None:
        i = range(len(self))[i]
        raw = self.text[self.ends[i - 1] if i else 0 : self.ends[i]].tobytes()
        return None if raw == _MISSING else raw.decode()

    def __iter__(self) -> Iterator[str | None]:
        text, start = self.text.tobytes(), 0
        for end in self.ends.tolist():
            raw = text[start:end]
            yield None if raw == _MISSING else raw.decode()
            start = end


@dataclass(frozen=True)
class Kind:
    """What is cached: how it is read, and which of its fields are arrays and lists of texts."""

    read: Callable[..., Columns] | None = None  #: None: ``read_columns``
    columns: type[Columns] = Columns
    arrays: tuple[str, ...] = (
        'has_labels',
        'frame',
        'category',
        'xyxy',
        'score',
        'ignored',
        'crowd',
        'file_rows',
        'image_ids',
    )
    texts: tuple[str, ...] = ('names', 'videos', 'files')
    mark: str = ''  #: in the cache's name, which tells readings apart


BOXES = Kind()


def indexed_columns(
    path: str | Path, categories: Categories = BDD100K, *, progress=None, kind: Kind = BOXES
) -> Columns:
    """Boxes, or what ``kind.read`` reads, through a cache beside the label file (or in ``$MMROAD_HOME/index``
    where that folder cannot be written).

    A cache is used if size, modification and change time of every file are those it was made from; if only
    times differ, if the content's digest is. It carries a checksum: a damaged one is made again.

    Raises:
        LabelFileError: As ``read_columns``.
    """
    path, files = Path(path), json_files(path)
    stats = [f'{VERSION}'] + [_stat(file) for file in files]
    caches = _places(path, categories.mark + kind.mark)
    digest = None
    for cache in caches:
        found = _open(cache, path, kind)
        if found is None:
            continue
        columns, header = found
        if header['stats'] == stats:
            return columns
        if [s.split()[:2] for s in header['stats']] == [s.split()[:2] for s in stats]:
            digest = digest or _digest(files)
            if header['digest'] == digest:
                _write(caches, columns, stats, digest, kind)
                return columns
    columns = (kind.read or read_columns)(path, categories=categories, progress=progress)
    digest = digest or _digest(files)
    after = [f'{VERSION}'] + [_stat(file) for file in files]
    if after != stats:
        raise LabelFileError(f'{path} changed while it was read; try again')
    cache = _write(caches, columns, stats, digest, kind)
    found = cache and _open(cache, path, kind)
    return found[0] if found else columns


def _stat(file: Path) -> str:
    s = file.stat()
    return f'{file.name} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}'


def _digest(files: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        with open(file, 'rb') as f:
            while block := f.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _places(path: Path, mark: str = '') -> list[Path]:
    """Where the cache may be: beside the labels, else in the user's cache folder. ``mark`` tells readings apart."""
    home = Path(os.environ.get('MMROAD_HOME', Path.home() / '.cache/mmroad'))
    name = hashlib.blake2b(str(path.resolve()).encode(), digest_size=8).hexdigest()
    path = path.absolute()
    return [path.with_name(f'.{path.name}{mark}.index'), home / 'index' / f'{path.stem}-{name}{mark}.index']


def _write(caches: list[Path], columns: Columns, stats: list[str], digest: str, kind: Kind) -> Path | None:
    arrays = {key: np.ascontiguousarray(getattr(columns, key)) for key in kind.arrays}
    arrays |= {f'attribute.{k}': v for k, v in columns.attributes.items()}
    if columns.area is not None:
        arrays['area'] = columns.area
    for key in kind.texts:
        names = getattr(columns, key)
        names = names if isinstance(names, Names) else Names.of(names)
        arrays[f'{key}.text'], arrays[f'{key}.ends'] = names.text, names.ends
    offset, layout = 0, {}
    for key, array in arrays.items():
        layout[key] = [array.dtype.str, array.shape, offset]
        offset += -(-array.nbytes // 64) * 64
    header = dict(
        stats=stats,
        digest=digest,
        arrays=layout,
        attribute_values=columns.attribute_values,
        unboxed=columns.unboxed,
        classes=columns.classes,
        category_ids=list(columns.category_ids),
    )
    head = json.dumps(header).encode()
    head = len(head).to_bytes(8, 'little') + head
    head += b'\0' * (-(len(_MAGIC) + _CHECKSUM + len(head)) % 64)
    parts = [head]
    for array in arrays.values():
        parts += [array.reshape(-1).view(np.uint8), b'\0' * (-array.nbytes % 64)]
    checksum = hashlib.blake2b(digest_size=_CHECKSUM)
    for part in parts:
        checksum.update(part)
    for cache in caches:
        with contextlib.suppress(OSError):
            with replacing(cache) as temporary, open(temporary, 'wb') as file:
                file.writelines([_MAGIC, checksum.digest(), *parts])
            return cache
    return None  # nowhere to write: the columns stay in memory


def _open(cache: Path, source: Path, kind: Kind) -> tuple[Columns, dict] | None:
    """The columns of a cache and its header; None where it is not there or is damaged: it is made again."""
    try:
        block = np.memmap(cache, np.uint8, 'r')
    except (OSError, ValueError):  # no file, or an empty one
        return None
    start = len(_MAGIC) + _CHECKSUM
    whole = hashlib.blake2b(block[start:], digest_size=_CHECKSUM)
    if block[:start].tobytes() != _MAGIC + whole.digest():
        return None
    size = int.from_bytes(block[start : start + 8].tobytes(), 'little')
    header = json.loads(block[start + 8 : start + 8 + size].tobytes())
    start += 8 + size
    start += -start % 64
    arrays = {}
    for key, (dtype, shape, offset) in header['arrays'].items():
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        part = block[start + offset : start + offset + count]
        arrays[key] = np.asarray(part).view(dtype).reshape(shape)
    if 'classes' not in header:  # of a version before
        return None
    columns = kind.columns(
        **{key: Names(arrays[f'{key}.text'], arrays[f'{key}.ends']) for key in kind.texts},
        attributes={k: arrays[f'attribute.{k}'] for k in header['attribute_values']},
        attribute_values=header['attribute_values'],
        source=str(source),
        unboxed=header['unboxed'],
        classes=tuple(header['classes']),
        category_ids=tuple(header['category_ids']),
        area=arrays.get('area'),
        **{key: arrays[key] for key in kind.arrays},
    )
    return columns, header
