"""Images inside uncompressed tar files, read by position through an index."""

from __future__ import annotations

import functools
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import decode_image


def build_index(tars: Iterable[str | Path], out: str | Path, progress=None) -> int:
    """Index the regular files of tar files, in the order given, and write it (.npz).

    An interrupted run goes on after the last finished tar: parts lie beside ``out`` until it is written.

    Args:
        tars: Uncompressed tar files.
        out: The index: ``paths`` of the tars, and of each member ``tar``, ``offset``, ``size``, ``name``.
        progress: Called with each finished tar.

    Returns:
        The number of members.
    """
    out = Path(out)
    parts = out.with_name(f'.{out.name}.parts')
    parts.mkdir(parents=True, exist_ok=True)
    paths, found = list(map(Path, tars)), []
    for number, path in enumerate(paths):
        part = parts / f'{number}_{path.stem}.npz'
        if not part.is_file():
            _save(part, **_members(path))
        with np.load(part) as arrays:
            found.append(dict(arrays))
        if progress:
            progress(path)
    count = [len(f['offset']) for f in found]
    joined = {key: np.concatenate([f[key] for f in found]) for key in ('offset', 'size', 'name')}
    _save(out, paths=np.array(list(map(str, paths))), tar=np.repeat(np.arange(len(paths)), count), **joined)
    shutil.rmtree(parts)
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
    except tarfile.TarError as error:
        raise ValueError(f'{path}: not a readable uncompressed tar file ({error})') from error
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return dict(offset=table[:, 0], size=table[:, 1], name=np.array(names, dtype=str))


def _save(path: Path, **arrays: np.ndarray) -> None:
    part = path.with_name(f'.{path.name}.{os.getpid()}.npz')
    np.savez(part, **arrays)
    os.replace(part, path)


class TarImages:
    """The images of an index. File handles are opened when used, one a process."""

    def __init__(self, index: str | Path) -> None:
        self.index = Path(index)
        if not self.index.is_file():
            raise FileNotFoundError(
                f'tar index {index} not found: make it with tools/dataset_converters/tar_index.py'
            )
        with np.load(self.index) as arrays:
            self.paths = arrays['paths'].tolist()
            self.tar, self.offset, self.size = arrays['tar'], arrays['offset'], arrays['size']
        self._handles: dict[tuple[int, int], int] = {}

    @classmethod
    def open(cls, index: str) -> TarImages:
        """The same object for the same index."""
        return _open(str(index))

    def __len__(self) -> int:
        return len(self.tar)

    def read(self, i: int) -> bytes:
        """The bytes of member ``i``."""
        key = (os.getpid(), int(self.tar[i]))
        if key not in self._handles:
            self._handles[key] = os.open(self.paths[key[1]], os.O_RDONLY)
        return os.pread(self._handles[key], int(self.size[i]), int(self.offset[i]))

    def image(self, i: int) -> np.ndarray:
        """Member ``i`` as BGR uint8 (H, W, 3)."""
        return decode_image(self.read(i), f'{self.paths[int(self.tar[i])]}: member {i}')


@functools.lru_cache(maxsize=8)
def _open(index: str) -> TarImages:
    return TarImages(index)
