"""What a submission holds, in a folder or an archive, and what a check of it finds."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..files.json_files import read_json
from ..files.sources import image_files

#: Of problems of one kind so many are shown.
SHOWN = 5


@dataclass
class Request:
    """What a submission is made of or compared with; which parts are needed depends on the benchmark."""

    sources: list[Path]  #: predictions, or the submission that is checked
    out: Path | None = None
    data: Path | None = None  #: the images
    method: str | None = None
    classes: Path | None = None  #: class masks
    annotations: Path | None = None  #: ids of images, videos and categories, or a list of expected files
    threshold: float | None = None  #: from which pixels of anomaly maps are unknown
    boxes: Path | None = None  #: boxes that unknown pixels are cut by


@dataclass
class Checked:
    """What a check found. A server refuses a submission with ``problems``; ``notes`` are for the user to weigh."""

    counted: Counter[str] = field(default_factory=Counter)  #: what was looked at
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def names(self, found: Collection[str], expected: Collection[str], what: str) -> None:
        """Compare names with those that there must be."""
        there, wanted = set(found), set(expected)
        if missing := sorted(wanted - there):
            self.problems.append(f'{len(missing)} of {len(wanted)} {what} are missing: {some(missing)}')
        if beyond := sorted(there - wanted):
            self.problems.append(f'{len(beyond)} {what} are not expected: {some(beyond)}')

    def text(self) -> str:
        """The findings, a line each."""
        counted = ', '.join(f'{count} {what}' for what, count in self.counted.items()) or 'nothing'
        lines = [f'looked at {counted}: {len(self.problems)} problem{"" if len(self.problems) == 1 else "s"}']
        lines += [f'  {text}' for text in self.problems[:50]]
        if len(self.problems) > 50:
            lines.append(f'  and {len(self.problems) - 50} more')
        return '\n'.join(lines + [f'  note: {text}' for text in self.notes])


def some(names: Iterable[object]) -> str:
    """The first few names."""
    names = list(names)
    return ', '.join(map(str, names[:SHOWN])) + (', ...' if len(names) > SHOWN else '')


class Files:
    """The files of a folder (without hidden ones) or of a zip archive, by their names from its top.

    Args:
        path: The folder or archive.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: A file that is no zip archive.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._archive: zipfile.ZipFile | None = None
        if self.path.is_dir():
            inside = [p.relative_to(self.path) for p in self.path.rglob('*') if p.is_file()]
            self.names = sorted(p.as_posix() for p in inside if not any(part[0] == '.' for part in p.parts))
            return
        if not self.path.is_file():
            raise FileNotFoundError(f'{self.path}: no such file or folder')
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
            raise ValueError(f'{self.path}: neither a folder nor a zip archive ({error})') from error
        self.names = sorted(info.filename for info in self._archive.infolist() if not info.is_dir())

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            ValueError: It is damaged; names it.
        """
        if self._archive is None:
            return (self.path / name).read_bytes()
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise ValueError(f'{self.path}: {name} cannot be read ({error})') from error


def images_of(folder: str | Path) -> dict[str, Path]:
    """The images below a folder by their base names.

    Raises:
        FileNotFoundError: No such folder, or no image in it.
        ValueError: Two images of one name.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of images')
    found: dict[str, Path] = {}
    for path in sorted(image_files(folder)):
        if (other := found.setdefault(path.name, path)) != path:
            raise ValueError(f'{other} and {path}: two images of one name: give the folder of one set')
    if not found:
        raise FileNotFoundError(f'{folder}: no images in this folder')
    return found


def json_of(files: Path, form: type, what: str, name: str):
    """A JSON file's content, of the file itself or of ``name`` in a zip archive, checked for ``form``.

    Raises:
        FileNotFoundError, ValueError: See `read_json`; also for an archive without the file.
    """
    if files.suffix != '.zip':
        return read_json(files, form, what)
    import msgspec

    archive = Files(files)
    if name not in archive.names:
        raise ValueError(f'{files}: no {name} at its top; it holds {some(archive.names) or "nothing"}')
    try:
        return msgspec.json.decode(archive.read(name), type=form)
    except msgspec.DecodeError as error:
        raise ValueError(f'{files}: {name} is not {what}: {error}') from error
