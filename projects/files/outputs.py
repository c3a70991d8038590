"""Names of the files that a run writes: below its folder, one a name, never onto a source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from .images import is_image


class OutputNames:
    """Places below an output folder for names from anywhere.

    Ask for every place before the work begins: then a name that cannot be had ends nothing half done.

    >>> names = OutputNames('out')
    >>> names.path('a/1.jpg', '.png'), names.path('/data/2.jpg'), names.path('../3.jpg')
    (PosixPath('out/a/1.png'), PosixPath('out/data/2.jpg'), PosixPath('out/3.jpg'))

    Args:
        folder: Everything lies below it.
        sources: Files that must stay as they are.
    """

    def __init__(self, folder: str | Path, sources: Iterable[str | Path] = ()) -> None:
        self.folder = Path(folder)
        self._sources = sources
        self._files: dict[tuple[int, int], str] | None = None
        self._taken: dict[Path, str] = {}

    def path(self, name: str | Path, suffix: str | None = None, source: str | Path | None = None) -> Path:
        """The place of a name's file, the same each time.

        Args:
            name: A name, perhaps with folders; an absolute one and one with ``..`` stay below the folder.
            suffix: In place of the suffix of an image, such as ``.png``; ``''`` leaves it out. Other names keep
                all dots: ``drive.0001`` becomes ``drive.0001.png``.
            source: The file that the name stands for, where names of several files may be equal (default: the
                name); it is named in errors and must not be the place.

        Raises:
            ValueError: Another name has the place, or a source lies there; names both. Or the name is empty.
        """
        pure = PurePath(name)
        parts = [part for part in pure.parts if part not in (pure.anchor, '..')]
        if not parts:
            raise ValueError(f'{str(name)!r} names no file')
        place = self.folder.joinpath(*parts)
        if suffix is not None:
            place = place.with_name((place.stem if is_image(place) else place.name) + suffix)
        key = str(name if source is None else source)
        other = self._taken.setdefault(place, key)
        if other != key:
            raise ValueError(
                f'{other} and {key} would both be written to {place}: rename one, or run them apart'
            )
        self._keep_sources(place, source)
        return place

    def _keep_sources(self, place: Path, source: str | Path | None) -> None:
        try:
            found = os.stat(place)
        except OSError:  # nothing there, so no source either
            return
        if self._files is None:
            self._files = dict(filter(None, map(_identity, self._sources)))
        file = found.st_dev, found.st_ino
        kept = self._files.get(file)
        if kept is None and source is not None and _identity(source) == (file, str(source)):
            kept = str(source)
        if kept is not None:
            raise ValueError(f'{place} would replace the source {kept}: choose another output folder')


def _identity(path: str | Path) -> tuple[tuple[int, int], str] | None:
    """A file's device and number, which links and other spellings of its path share."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino), str(path)
