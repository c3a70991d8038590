"""Several scores on the same images: one folder of anomaly maps each, read one image at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..files.label_maps import read_label_map
from .io import SUFFIXES, find_map, load_map, map_names

#: Subfolders of a run's output that hold no anomaly maps.
OTHER_FOLDERS = ('classes', 'pictures', 'probs')


def score_folders(items: Sequence[str]) -> dict[str, Path]:
    """Folders of maps by the names of their scores.

    Args:
        items: ``FOLDER`` or ``NAME=FOLDER``: a folder of maps, which is one score, or one whose subfolders are, as
            ``mmroad scores save`` writes it. A name stands before those of the subfolders.

    Raises:
        FileNotFoundError: There is no such folder, or no map in it.
        ValueError: Two folders are of one name.
    """
    found: dict[str, Path] = {}
    for item in items:
        name, folder = item.split('=', 1) if '=' in item else ('', item)
        for title, path in _scores(name, Path(folder)):
            if title in found:
                raise ValueError(
                    f'{found[title]} and {path} are both called {title}: tell them apart with NAME=FOLDER'
                )
            found[title] = path
    return found


def _scores(name: str, folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of anomaly maps')
    if map_names(folder):
        return [(name or folder.name, folder)]
    below = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in OTHER_FOLDERS)
    found = [(f'{name} {path.name}'.strip(), path) for path in below if map_names(path)]
    if not found:
        raise FileNotFoundError(
            f'{folder}: no anomaly map ({", ".join(SUFFIXES)}) in it or in its subfolders; `mmroad scores save` and '
            f'`mmroad infer` write them'
        )
    return found


def common_names(folders: dict[str, Path]) -> list[str]:
    """The names of the images, of which every folder must have a map.

    Raises:
        ValueError: A folder lacks some that another has; names it.
    """
    names = {title: set(map_names(folder)) for title, folder in folders.items()}
    every = sorted(set().union(*names.values()))
    for title, own in names.items():
        if lacking := [name for name in every if name not in own]:
            raise ValueError(
                f'{folders[title]}: no map of {lacking[0]}, which other scores have ({len(lacking)} of {len(every)} '
                f'are missing)'
            )
    return every


def mask_paths(masks: str | Path, names: Iterable[str]) -> dict[str, Path]:
    """The masks ``NAME.png`` of images.

    Raises:
        FileNotFoundError: An image has none.
    """
    found = {name: Path(masks) / f'{name}.png' for name in names}
    if lacking := [name for name, path in found.items() if not path.is_file()]:
        raise FileNotFoundError(
            f'{found[lacking[0]]}: no mask of {lacking[0]} ({len(lacking)} of {len(found)} images have none)'
        )
    return found


def read_scores(
    folders: dict[str, Path], masks: dict[str, Path]
) -> Iterator[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
    """Each image's name, mask (H, W) and maps (H, W) by score.

    Raises:
        KeyError, ValueError: A map or a mask cannot be used, or is of another size; names it.
    """
    for name, mask in masks.items():
        maps = {title: load_map(find_map(folder, name)) for title, folder in folders.items()}
        labels = read_label_map(mask)
        for title, values in maps.items():
            if values.shape != labels.shape:
                path = find_map(folders[title], name)
                raise ValueError(f'{path}: the map is {values.shape}, its mask {mask} is {labels.shape}')
        yield name, labels, maps
