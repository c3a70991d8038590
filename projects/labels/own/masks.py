"""Folders of images and label maps: their classes, splits and what fits what."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...files.images import is_image
from ...files.json_files import read_json
from ...files.label_maps import read_label_map

#: Names of the two folders.
IMAGES = ('images', 'imgs', 'img', 'JPEGImages')
MASKS = ('masks', 'labels', 'annotations', 'SegmentationClass', 'mask')
#: Names of a split's folder.
SPLITS = {'train': ('train', 'training'), 'val': ('val', 'valid', 'validation')}
#: Label maps that are looked through before a training; the others when they are loaded.
CHECKED = 200


@dataclass
class Masks:
    """Images of one split and their label maps, by their names without suffix."""

    images: Path
    masks: Path
    names: list[str]
    suffix: str  #: of the images, such as .jpg


def read_classes(folder: Path) -> tuple[tuple[str, ...], list[list[int]] | None]:
    """The classes of a folder: ``classes.txt`` with a name a line, or ``classes.json`` with a list of names or of
    ``{"name", "color"}``. The id in the label maps is the place, from 0.

    Returns:
        Names, and RGB colors where the file has them.

    Raises:
        FileNotFoundError, ValueError: There is no such file, or it is something else; names it.
    """
    text, listed = folder / 'classes.txt', folder / 'classes.json'
    if text.is_file():
        names = [line.strip() for line in text.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
        colors, file = None, text
    elif listed.is_file():
        content, file = read_json(listed, what='a list of classes'), listed
        if not isinstance(content, list):
            raise ValueError(f'{listed}: expected a list of names, or of objects with "name" and "color"')
        entries = [dict(name=entry) if isinstance(entry, str) else entry for entry in content]
        if not all(isinstance(entry, dict) and isinstance(entry.get('name'), str) for entry in entries):
            raise ValueError(f'{listed}: expected a list of names, or of objects with "name" and "color"')
        names = [entry['name'] for entry in entries]
        colors = [entry.get('color') for entry in entries]
        colors = None if None in colors else [[int(value) for value in color] for color in colors]
    else:
        raise FileNotFoundError(
            f'{folder}: has no classes.txt (a name a line, the first is id 0) and no classes.json'
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(f'{file}: {"a name stands twice" if names else "no name in it"}')
    return tuple(names), colors


def find_masks(folder: Path) -> dict[str, Masks]:
    """The splits of a data set: ``images/train`` and ``masks/train``, ``train/images`` and ``train/masks``, or one set
    ``images`` and ``masks`` (split ``''``).

    Raises:
        FileNotFoundError: There are none; or an image has no mask (``NAME.png``): names it.
        ValueError: Images of one split have several suffixes.
    """
    found = {}
    for split, names in SPLITS.items():
        for name in names:
            pairs = [(folder / i / name, folder / m / name) for i in IMAGES for m in MASKS] + [
                (folder / name / i, folder / name / m) for i in IMAGES for m in MASKS
            ]
            pair = next((pair for pair in pairs if pair[0].is_dir() and pair[1].is_dir()), None)
            if pair:
                found[split] = pair_up(*pair)
                break
    if found:
        if 'train' not in found:
            raise FileNotFoundError(f'{folder}: it has val and no train')
        return found
    pairs = [(folder / i, folder / m) for i in IMAGES for m in MASKS]
    pair = next((pair for pair in pairs if pair[0].is_dir() and pair[1].is_dir()), None)
    if pair is None:
        raise FileNotFoundError(
            f'{folder}: no images/ and masks/ (each with train/ and val/, or one set); the mask of images/NAME.jpg is '
            'masks/NAME.png'
        )
    return {'': pair_up(*pair)}


def pair_up(images: Path, masks: Path) -> Masks:
    files = sorted(p for p in images.rglob('*') if is_image(p) and not p.name.startswith('.'))
    if not files:
        raise FileNotFoundError(f'{images}: no image in it')
    names = [p.relative_to(images).with_suffix('').as_posix() for p in files]
    missing = [name for name in names if not (masks / f'{name}.png').is_file()]
    if missing:
        raise FileNotFoundError(
            f'{masks / missing[0]}.png: no such mask ({len(missing)} of {len(names)} have none)'
        )
    suffixes = {p.suffix for p in files}
    if len(suffixes) > 1:
        raise ValueError(f'{images}: images end in {", ".join(sorted(suffixes))}; give all one suffix')
    return Masks(images, masks, names, suffixes.pop())


def split_masks(found: dict[str, Masks], val_split: float | None, seed: int) -> tuple[dict[str, Masks], str]:
    """Sets ``train`` and ``val``, and what there is to say; of one set a part is held out."""
    if 'val' in found:
        return found, ''
    (whole,) = found.values()
    part = 0.1 if val_split is None else val_split
    if part == 0:
        return dict(train=whole, val=whole), 'validated on the training images themselves'
    number = max(1, round(part * len(whole.names)))
    if number >= len(whole.names):
        raise ValueError(f'{whole.images}: {len(whole.names)} images cannot be split: --val-split 0')
    held = set(random.Random(seed).sample(whole.names, number))
    sets = {
        'train': Masks(whole.images, whole.masks, [n for n in whole.names if n not in held], whole.suffix),
        'val': Masks(whole.images, whole.masks, [n for n in whole.names if n in held], whole.suffix),
    }
    return sets, f'{number} of {len(whole.names)} images are held out for validation (seed {seed})'


def check_maps(masks: Masks, number: int, ignored: Sequence[int] = (255,)) -> int:
    """Look through the first label maps of a split.

    Returns:
        How many.

    Raises:
        ValueError: One has values that no class has, several channels, or another size than its image; names it.
    """
    from ..sizes import image_size

    names = masks.names[:CHECKED]
    for name in names:
        width, height = image_size(masks.images / f'{name}{masks.suffix}')
        read_label_map(masks.masks / f'{name}.png', size=(height, width), num_classes=number, ignored=ignored)
    return len(names)
