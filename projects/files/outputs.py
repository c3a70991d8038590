"""Names of the files that a run writes: below its folder, one a name, never onto a source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from .images import is_image
from .replacing import write_text

if TYPE_CHECKING:
    from .sources import Source

#: The file in an output folder inside a source that lists what runs wrote there.
OUTPUTS = 'mmroad_outputs.txt'


class OutputNames:
    """Places below an output folder for names from anywhere.

    Ask for every place before the work begins, so that a name that cannot be used is an error before anything
    is written.

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
            raise ValueError(f'{place} would replace its own source {kept}: choose another output folder')


def _identity(path: str | Path) -> tuple[tuple[int, int], str] | None:
    """A file's device and number, which links and other spellings of its path share."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino), str(path)


class RunFolder:
    """The output folder of a run over a source: every name is asked for before the first image is read.

    Where the folder lies in what is searched for images, it is noted there what the run writes, so that a second
    run does not take it for images.

    Args:
        folder: The output folder.
        source: What the run goes over.
        files: Names of files in the folder that are written besides, such as a video's.
        kinds: The suffix of the files in each subfolder, as for `OutputNames.path`.

    Raises:
        ValueError: Two images would be written to one file, one onto a source, or where sources are; names them.
    """

    def __init__(
        self, folder: str | Path, source: Source, files: Iterable[str] = (), **kinds: str | None
    ) -> None:
        self.folder, self._suffixes = Path(folder), kinds
        self._names = {kind: OutputNames(self.folder / kind, source.files) for kind in kinds}
        self._files = OutputNames(self.folder, source.files)
        for kind in kinds:
            self._keep_apart(self.folder / kind, {item.path.parent for item in source.items})
            for item in source.items:
                if not item.is_video:
                    self.path(kind, item.name)
        files = list(files)
        for file in files:
            self._files.path(file)
        note_outputs(self.folder, source.base, {*kinds, *files})

    @staticmethod
    def _keep_apart(folder: Path, sources: set[Path]) -> None:
        if folder.is_dir():
            for parent in sources:
                if parent.resolve().is_relative_to(folder.resolve()):
                    raise ValueError(
                        f'{folder} is where results go, but sources lie in {parent}: choose another output folder'
                    )

    def path(self, kind: str, name: str) -> Path:
        """The place of an image's file in a subfolder; without a suffix of its kind or its own, it ends in .jpg."""
        suffix = self._suffixes[kind]
        if suffix is None and not is_image(name):
            suffix = '.jpg'
        return self._names[kind].path(name, suffix)


def note_outputs(folder: Path, base: Path, names: Iterable[str]) -> None:
    """Note that a run writes these files and folders in a folder, where that lies in ``base``, which is searched."""
    if folder.resolve().is_relative_to(base.resolve()):
        noted = sorted(noted_outputs(folder).union(names))
        write_text(folder / OUTPUTS, '\n'.join(noted) + '\n')


def noted_outputs(folder: str | Path) -> set[str]:
    """What runs noted that they wrote in a folder."""
    try:
        return set(Path(folder, OUTPUTS).read_text(encoding='utf-8').splitlines())
    except FileNotFoundError:
        return set()
