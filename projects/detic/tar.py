"""Images inside uncompressed tar files, read by position through an index."""

from __future__ import annotations

import functools
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import decode_image
from ..files.arrays import write_arrays
from .parts import keep_sources, parts_of, remove_parts, resumable, state_of

#: What an index holds: the paths of the tars, and of each member its tar, place, size and name.
KEYS = ('paths', 'tar', 'offset', 'size', 'name')


def build_index(tars: Iterable[str | Path], out: str | Path, progress=None) -> int:
    """Index the regular files of tar files, in the order given, and write it (.npz).

    An interrupted run goes on after the last finished tar: parts lie beside ``out`` until it is written.

    Args:
        tars: Uncompressed tar files.
        out: The index: ``paths`` of the tars, and of each member ``tar``, ``offset``, ``size``, ``name``.
        progress: Called with each finished tar.

    Returns:
        The number of members.

    Raises:
        FileNotFoundError: A tar is not there.
        ValueError: A tar cannot be read, is given twice, or is the output.
    """
    paths = list(map(Path, tars))
    keep_sources(out, '.npz', *paths)
    twice = sorted(str(p) for p, n in Counter(paths).items() if n > 1)
    if twice:
        raise ValueError(f'tar files given more than once: {", ".join(twice)}')
    missing = [str(p) for p in paths if not p.is_file()]
    if missing:
        raise FileNotFoundError(f'tar files not found: {", ".join(missing)}')
    parts = parts_of(out)

    def tell(steps: list[str], _: str):
        for step in steps:
            yield step
            if progress:
                progress(place[step])

    # a tar that has changed since is another step
    steps = [f'{i}-{zlib.crc32(str(state_of(path)).encode()):08x}' for i, path in enumerate(paths)]
    place = dict(zip(steps, paths))
    found = [a for _, a in resumable(steps, parts, lambda step: _members(place[step]), tell, '')]
    count = [len(f['offset']) for f in found]
    joined = {key: np.concatenate([f[key] for f in found]) for key in ('offset', 'size', 'name')}
    write_arrays(
        out, paths=np.array(list(map(str, paths))), tar=np.repeat(np.arange(len(paths)), count), **joined
    )
    remove_parts(parts)
    return sum(count)


def _members(path: Path) -> dict[str, np.ndarray]:
    rows, names = [], []
    try:
        with tarfile.open(path, 'r:') as tar:
            for member in tar:
                tar.members = []  # or every member of a large file stays in memory
                if member.isfile():
                    rows.append((member.offset_data, member.size))
                    names.append(member.name)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise ValueError(f'{path}: not a readable uncompressed tar file ({error})') from error
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return dict(offset=table[:, 0], size=table[:, 1], name=np.array(names, dtype=str))


class TarImages:
    """The images of an index. File handles are opened when used, one a process.

    Raises:
        FileNotFoundError: No index, or a tar is no longer where it was.
        ValueError: Not an index, or a tar has changed since.
    """

    def __init__(self, index: str | Path) -> None:
        self.index = Path(index)
        if not self.index.is_file():
            raise FileNotFoundError(f'tar index {index} not found: make it with mmroad data tar-index')
        found: list[str] = []
        try:
            with np.load(self.index, allow_pickle=False) as arrays:
                found = list(arrays.files)
                self.paths = arrays['paths'].tolist()
                self.tar, self.offset, self.size = (arrays[key] for key in KEYS[1:4])
            if not len(self.tar) == len(self.offset) == len(self.size):
                raise ValueError('its columns have different lengths')
            if len(self.tar) and not 0 <= self.tar.min() <= self.tar.max() < len(self.paths):
                raise ValueError('it names tar files that it has no paths of')
        except Exception as error:  # numpy, zipfile and zlib each have errors of their own
            raise ValueError(
                f'{index}: not an index of tar files: expected a .npz file of {", ".join(KEYS)}, found '
                f'{", ".join(found) or "none of it"} ({type(error).__name__}: {error}). Make it anew with '
                'mmroad data tar-index'
            ) from error
        self._handles: dict[tuple[int, int], int] = {}

    @classmethod
    def open(cls, index: str) -> TarImages:
        """The same object for the same index."""
        return _open(str(index))

    def __len__(self) -> int:
        return len(self.tar)

    def read(self, i: int) -> bytes:
        """The bytes of member ``i``."""
        path = self.paths[int(self.tar[i])]
        key = (os.getpid(), int(self.tar[i]))
        if key not in self._handles:
            try:
                self._handles[key] = os.open(path, os.O_RDONLY)
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f'{path} not found, which {self.index} has indexed: put it back, or index the tar files '
                    'where they are now'
                ) from error
        data = os.pread(self._handles[key], int(self.size[i]), int(self.offset[i]))
        if len(data) < self.size[i]:
            raise ValueError(
                f'{path}: ends inside member {i}: it has changed since {self.index} was made; make that anew'
            )
        return data

    def image(self, i: int) -> np.ndarray:
        """Member ``i`` as BGR uint8 (H, W, 3)."""
        return decode_image(self.read(i), f'{self.paths[int(self.tar[i])]}: member {i}')


@functools.lru_cache(maxsize=8)
def _open(index: str) -> TarImages:
    return TarImages(index)
