"""Labels of boxes in the formats that people have, over one form in memory (`form`).

A format is a module with ``read`` and ``write``; `formats` lists them, `recognize` says which one a path holds.
`read_labels` is the door from Python: ``mmroad.read_labels('data/forklifts', 'val')``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .form import LabelSet

#: The formats: BDD100K's Scalabel, any Scalabel, COCO, YOLO, Pascal VOC, labelme, CVAT and Label Studio.
FORMATS = ('bdd', 'scalabel', 'coco', 'yolo', 'voc', 'labelme', 'cvat', 'labelstudio')


def read_labels(
    path: str | Path, split: str | None = None, form: str | None = None, images: str | Path | None = None
) -> LabelSet:
    """The labels of boxes at a path: images with their boxes.

    Args:
        path: A label file, or the folder of a data set.
        split: ``train``, ``val`` or ``test``, where there are several sets.
        form: The format, one of `FORMATS`; None looks.
        images: The folder of the images; None looks.

    Raises:
        ValueError: There is nothing to read, or there are several sets and ``split`` names none of them.
    """
    from .formats import read_sets

    sets = read_sets(path, form, images)
    if split is None and len(sets) == 1:
        (split,) = sets
    if split not in sets:
        raise ValueError(f'{path}: split={split!r}; there are {", ".join(map(repr, sets))}')
    return sets[split]
