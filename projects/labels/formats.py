"""Reading and writing sets of labels by the name of their format."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from ..bdd100k.columns import no_gc
from ..bdd100k.scalabel import LabelFileError
from . import FORMATS
from .form import LabelSet, Losses
from .recognize import Found, find_images, recognize
from .sizes import need_sizes

#: The formats, and the file of a split where it is one. None: a file an image.
FILES: dict[str, str | None] = {
    'bdd': 'labels/det_20/det_{split}.json',
    'scalabel': 'labels_{split}.json',
    'coco': 'annotations/instances_{split}.json',
    'yolo': None,
    'voc': None,
    'labelme': None,
    'cvat': '{split}.xml',
    'labelstudio': 'tasks_{split}.json',
}
#: Formats without the size of images; all others need it.
WITHOUT_SIZES = ('bdd', 'scalabel')


def _module(form: str):
    return importlib.import_module(f'.{form}', __package__)


def read(found: Found, images: str | Path | None = None) -> LabelSet:
    """Read one set of labels.

    Args:
        found: What `recognize` has found.
        images: The folder of the images; None looks where they usually are.

    Raises:
        LabelFileError: As the format's ``read``.
    """
    places = found.images if images is None else [Path(images)]
    if found.format == 'yolo':
        labels = _module('yolo').read(found.files, found.classes)
    elif found.format in ('voc', 'labelme'):
        folder = Path(images) if images is not None else None
        labels = _module(found.format).read(found.files, folder, str(found.files[0].parent))
    else:
        labels = _module(found.format).read(found.files[0])
    if labels.folder is None:
        names = [image.name for image in labels.images]
        labels.folder = Path(images) if images is not None else find_images(names, places)
    if not labels.images:
        raise LabelFileError(f'{labels.source}: no image in it')
    return labels


def read_sets(
    path: str | Path, form: str | None = None, images: str | Path | None = None
) -> dict[str, LabelSet]:
    """All sets of labels at a path, by their split, with one list of classes.

    Args:
        path: As `recognize.recognize`.
        form: The format; None looks.
        images: The folder of the images, with a folder for each split in it where the splits are several.

    Raises:
        LabelFileError: As `recognize.recognize` and the format's ``read``.
    """
    every = recognize(path, form)
    sets = {}
    for found in every:
        place = None if images is None else Path(images)
        if place is not None and found.split and (place / found.split).is_dir():
            place = place / found.split
        with no_gc():
            sets[found.split] = read(found, place)
    classes = dict.fromkeys(name for labels in sets.values() for name in labels.classes)
    for labels in sets.values():
        labels.classes = tuple(classes)
    return sets


def targets(sets: Mapping[str, LabelSet], form: str, path: Path) -> dict[str, Path] | None:
    """The file of each split; None where the format has a file an image."""
    pattern = FILES[form]
    if pattern is None:
        return None
    if path.suffix.lower() in ('.json', '.xml'):
        if len(sets) > 1:
            raise ValueError(f'{path}: one file for {len(sets)} sets ({", ".join(sets)}); name a folder')
        return {split: path for split in sets}
    return {split: path / _of_split(pattern, split) for split in sets}


def _of_split(pattern: str, split: str) -> str:
    """The place of a split's file. A set without a split has no such part in its name, or is BDD100K's ``train``."""
    if split:
        return pattern.format(split=split)
    if pattern == FILES['bdd']:
        return pattern.format(split='train')
    return {'{split}.xml': 'annotations.xml'}.get(pattern, pattern.replace('_{split}', ''))


def write(
    sets: Mapping[str, LabelSet], form: str, path: str | Path, size: tuple[int, int] | None = None
) -> tuple[list[Path], Losses]:
    """Write sets of labels.

    Args:
        sets: By their split ('' for the only one).
        form: The format.
        path: A folder, or where there is one set and the format has one file, that file.
        size: (width, height) of images whose size is not known and that are not there.

    Returns:
        The files (or folders of many), and what the format could not hold.

    Raises:
        ValueError: A size is not known; two images have one place; a place is one of the sources.
    """
    path, losses = Path(path), Losses()
    if form not in FORMATS:
        raise ValueError(f'format {form!r}; known are {", ".join(FORMATS)}')
    files = targets(sets, form, path)
    if form not in WITHOUT_SIZES:
        for labels in sets.values():
            need_sizes(labels, size)
    module = _module(form)
    if files is None:
        if path.suffix.lower() in ('.json', '.xml', '.yaml', '.txt'):
            raise ValueError(f'{path}: {form} has a file an image: name a folder')
        return module.write(sets, path, losses), losses
    for split, labels in sets.items():
        module.write(labels, files[split], losses)
    return list(files.values()), losses


def convert(
    source: str | Path,
    target: str | Path,
    to: str,
    form: str | None = None,
    images: str | Path | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[dict[str, LabelSet], list[Path], Losses]:
    """Read labels and write them in another format.

    Returns:
        What was read by its split, the files that were written, and what reading and writing could not keep.

    Raises:
        LabelFileError, ValueError: As `read_sets` and `write`; or the target is the source.
    """
    target = Path(target)
    sources = {file.resolve() for found in recognize(source, form) for file in found.files}
    if target.resolve() == Path(source).resolve() or target.resolve() in sources:
        raise ValueError(f'{target} is the source itself: write to another place')
    sets = read_sets(source, form, images)
    for place in (targets(sets, to, target) or {}).values() if to in FORMATS else ():
        if place.resolve() in sources:
            raise ValueError(f'{place} is a source: write to another folder')
    files, written = write(sets, to, target, size)
    losses = Losses()
    for labels in sets.values():
        losses.add_all(labels.losses)
    losses.add_all(written)
    return sets, files, losses
