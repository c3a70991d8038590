"""Images inside uncompressed tar files, read by position through an index."""

from __future__ import annotations

import functools
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def build_index(tars: Iterable[str | Path], out: str | Path, progress=None) -> int:
    """Index the regular files of tar files, in the order given, and write it (.npz).

    Args:
        tars: Uncompressed tar files.
        out: The index: ``paths`` of the tars, and of each member ``tar``, ``offset``, ``size``, ``name``.
        progress: Called with each finished tar.

    Returns:
        The number of members.
    """
    paths, rows, names = [], [], []
    for number, path in enumerate(map(Path, tars)):
        try:
            with tarfile.open(path, 'r:') as tar:
                for member in tar:
                    if member.isfile():
                        rows.append((number, member.offset_data, member.size))
                        names.append(member.name)
        except tarfile.TarError as error:
            raise ValueError(f'{path}: not a readable uncompressed tar file ({error})') from error
        paths.append(str(path))
        if progress:
            progress(path)
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    out = Path(out)
    part = out.with_name(f'.{out.name}.{os.getpid()}.npz')
    np.savez(
        part,
        paths=np.array(paths),
        tar=table[:, 0],
        offset=table[:, 1],
        size=table[:, 2],
        name=np.array(names),
    )
    os.replace(part, out)
    return len(names)


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
        image = cv2.imdecode(np.frombuffer(self.read(i), np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f'{self.paths[int(self.tar[i])]}: member {i} is not an image that can be read')
        return image


@functools.lru_cache(maxsize=8)
def _open(index: str) -> TarImages:
    return TarImages(index)
