"""Images put where a format looks for them."""

from __future__ import annotations

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
        ValueError: Two images would have one place; nothing is placed.
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
    for place, path in plan.items():
        if place.exists() and place.resolve() == path:  # it is there already
            continue
        with replacing(place) as part:
            if how == 'copy':
                shutil.copyfile(path, part)
            else:
                os.symlink(path, part)
    return len(plan), missing
