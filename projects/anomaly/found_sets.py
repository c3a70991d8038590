"""Which out-of-distribution data sets lie below a folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .layouts import LAYOUTS, Pair, find_pairs

#: Folders below the root are searched down to this depth.
DEPTH = 3
#: How each data set is told from its folder, before its files are looked for. Sets without masks score nothing.
_MARKS: dict[str, Callable[[Path], bool]] = {
    'road_anomaly': lambda d: (d / 'frame_list.json').is_file() and (d / 'frames').is_dir(),
    'road_anomaly_synboost': lambda d: (d / 'original').is_dir() and (d / 'labels').is_dir(),
    'fishyscapes_laf': lambda d: (d / 'fishyscapes_lostandfound').is_dir(),
    'fishyscapes_static_v1': lambda d: (d / 'fs_val_v1').is_dir(),
    'fishyscapes_static_v2': lambda d: (d / 'fs_val_v2').is_dir(),
    'smiyc_anomaly': lambda d: d.name == 'dataset_AnomalyTrack' and (d / 'images').is_dir(),
    'smiyc_obstacle': lambda d: d.name == 'dataset_ObstacleTrack' and (d / 'images').is_dir(),
    'lost_and_found': lambda d: (d / 'leftImg8bit/test').is_dir() and (d / 'gtCoarse/test').is_dir(),
    **{
        f'issu_{track}_{scenes}': lambda d: d.name == 'dataset_ISSUTrack' and (d / 'images').is_dir()
        for track in ('anomaly', 'obstacle')
        for scenes in ('static', 'temporal')
    },
    'ade_ood': lambda d: (d / 'images').is_dir() and any((d / 'annotations').glob('*_mask.png')),
    'masks': lambda d: (d / 'images').is_dir() and (d / 'masks').is_dir(),
}


@dataclass
class FoundSet:
    """A data set that was found."""

    layout: str  #: a key of ``LAYOUTS``
    root: Path
    name: str  #: its layout; of one's own and of one that was found twice, ``LAYOUT@FOLDER``
    pairs: Sequence[Pair] = ()
    note: str = ''  #: why it is no whole published set, or not one that can be used

    def line(self) -> str:
        """A line of the list: name, images, folder."""
        published = LAYOUTS[self.layout].images
        images = f'{len(self.pairs)} of {published}' if published else str(len(self.pairs))
        return f'{self.name:32}{images:>14}  {self.root}' + (f'\n{"":48}{self.note}' if self.note else '')


def find_sets(root: str | Path, only: Sequence[str] | None = None) -> list[FoundSet]:
    """The data sets below a folder, in the order of ``LAYOUTS``.

    Args:
        root: The folder.
        only: Names or layouts of the sets that are wanted.

    Raises:
        FileNotFoundError: No such folder, or no data set in it.
        KeyError: A wanted set is not among those found; names these.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: no such folder of data sets')
    places: dict[str, list[Path]] = {layout: [] for layout in _MARKS}
    for folder in folders_below(root):
        for layout, is_there in _MARKS.items():
            if is_there(folder):
                places[layout].append(folder)
    found = []
    for layout, folders in places.items():
        for folder in folders:
            inside = folder.relative_to(root).as_posix()
            single = layout != 'masks' and len(folders) == 1
            found.append(FoundSet(layout, folder, layout if single else f'{layout}@{inside}'))
    if not found:
        raise FileNotFoundError(
            f'{root}: no anomaly data set in this folder or {DEPTH} levels below; docs/data.md shows the layouts'
        )
    if only:
        names = {one.name for one in found} | {one.layout for one in found}
        if lacking := [name for name in only if name not in names]:
            raise KeyError(f'no data set {lacking[0]!r} below {root}; there are {", ".join(sorted(names))}')
        found = [one for one in found if one.name in only or one.layout in only]
    for one in found:
        _look_into(one)
    return found


def _look_into(found: FoundSet) -> None:
    """Find a set's images and masks, or why it cannot be used."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        try:
            found.pairs = find_pairs(found.layout, found.root)
        except (OSError, ValueError) as error:
            found.note = str(error)
            return
    found.note = '; '.join(str(warning.message) for warning in told)


def folders_below(root: Path, depth: int = 0) -> Iterator[Path]:
    """A folder and those below it, down to ``DEPTH`` levels, in order."""
    yield root
    if depth == DEPTH:
        return
    with os.scandir(root) as entries:
        below = sorted(entry.name for entry in entries if entry.name[0] != '.' and entry.is_dir())
    for name in below:
        yield from folders_below(root / name, depth + 1)


def list_text(found: Sequence[FoundSet]) -> str:
    """What was found and what was not, with where to get it."""
    lines = [f'{"data set":32}{"images":>14}  folder', *(one.line() for one in found)]
    missing = [
        layout for layout in _MARKS if layout not in {f.layout for f in found} and LAYOUTS[layout].source
    ]
    if missing:
        lines += ['', 'not found:']
        lines += [f'{name:32}{LAYOUTS[name].files}\n{"":32}{LAYOUTS[name].source}' for name in missing]
    return '\n'.join(lines)
