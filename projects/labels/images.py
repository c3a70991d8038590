"""Images put where a format looks for them."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..files.replacing import replacing
from .form import LabelSet

#: Where the images of a split are beside the labels, of formats that say so.
FOLDERS = {'bdd': 'images/100k/{split}', 'yolo': 'images/{split}', 'voc': 'JPEGImages'}


def place_images(sets: Mapping[str, LabelSet], form: str, folder: Path, how: str) -> tuple[int, list[str]]:
    """Link or copy the images of some sets to where a format has them below its folder.

    Args:
        sets: By their split.
        form: The format; one that has no place for images takes ``images/SPLIT``, of one set ``images``.
        folder: The data set's.
        how: ``link`` (a symbolic link each), ``copy``, or ``none``.

    Returns:
        How many are there now, and the names of those that could not be found.

    Raises:
        ValueError: Two images would have one place, or another image is there; nothing is placed.
    """
    if how == 'none':
        return 0, []
    plan: dict[Path, Path] = {}
    missing = []
    for split, labels in sets.items():
        for image in labels.images:
            path = labels.path(image)
            if path is None or not path.is_file():
                missing.append(image.name)
                continue
            inside = FOLDERS[form].format(split=split or 'train') if form in FOLDERS else f'images/{split}'
            place, path = folder / inside / image.name, path.resolve()
            if plan.setdefault(place, path) != path:
                raise ValueError(
                    f'{plan[place]} and {path} would both be {place}: rename one, or convert them apart'
                )
    there = {place for place, path in plan.items() if place.is_file() and _is_same(place, path)}
    for place in plan:
        if place not in there and place.exists() and not place.is_symlink():
            raise ValueError(f'{place} is there already and is another image: write to another folder')
    for place, path in plan.items():
        if place in there:
            continue
        with replacing(place) as part:
            if how == 'copy':
                shutil.copyfile(path, part)
            else:
                os.symlink(path, part)
    return len(plan), missing


def _is_same(place: Path, path: Path) -> bool:
    """Whether an image is at its place already: itself, a link to it, or a copy."""
    return place.resolve() == path or (not place.is_symlink() and filecmp.cmp(place, path, shallow=False))
