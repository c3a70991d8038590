"""YOLO's text files: ``data.yaml`` with the class names, and a file an image with lines
``class x_center y_center width height`` in parts of the image's size, a sixth number being a prediction's score.

The labels of ``images/train/a.jpg`` are in ``labels/train/a.txt``. Boxes and scores are all that a file holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bdd100k.scalabel import LabelFileError
from ..files.images import is_image
from ..files.outputs import OutputNames
from ..files.replacing import write_text
from .form import Box, Image, LabelSet, Losses, usable
from .sizes import image_size


def read_yaml(path: Path) -> tuple[tuple[str, ...], dict[str, list[Path]]]:
    """The class names of a ``data.yaml``, and the image folders or lists of each split.

    Raises:
        LabelFileError: No YAML, or no names.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8-sig'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelFileError(f'{path}: not YAML that can be read: {error}') from error
    names = content.get('names') if isinstance(content, Mapping) else None
    if not names or isinstance(names, str):
        raise LabelFileError(f'{path}: has no "names", the list of the classes')
    if isinstance(names, Mapping):
        numbers = sorted(names)
        if numbers != list(range(len(names))):
            raise LabelFileError(f'{path}: "names" must be numbered 0 to {len(names) - 1}, not {numbers}')
        names = [names[number] for number in numbers]
    root = Path(content.get('path') or '')
    roots = [root] if root.is_absolute() else [path.parent / root, root, path.parent]
    splits = {}
    for split, keys in dict(train=('train',), val=('val', 'valid', 'validation'), test=('test',)).items():
        given = next((content[key] for key in keys if content.get(key)), None)
        if given is None:
            continue
        given = [given] if isinstance(given, str) else given
        splits[split] = [_place(path, name, roots) for name in given]
    return tuple(map(str, names)), splits


def _place(path: Path, name: str, roots: Sequence[Path]) -> Path:
    # Roboflow's files say ../train/images of folders that lie beside the file
    places = [root / name for root in roots] + [path.parent / name.removeprefix('../')]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise LabelFileError(f'{path}: {name} is not there; looked for {places[0]} and {places[-1]}')
    return found.resolve()


def read(places: Sequence[Path], classes: tuple[str, ...], labels: Path | None = None) -> LabelSet:
    """The labels of folders (or lists, ``.txt``) of images.

    Args:
        places: The folders or lists.
        classes: Names of the class numbers.
        labels: The folder of the text files; None takes ``labels`` in place of ``images`` in each image's path.

    Raises:
        LabelFileError: A line that is none of a box, or a class that has no name; names file and line.
    """
    losses, images = Losses(), []
    folder = places[0] if len(places) == 1 and places[0].is_dir() else _common(places)
    for place in places:
        for file in _images(place):
            name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)
            text = labels / Path(name).with_suffix('.txt') if labels else label_file(file)
            width, height = image_size(file)
            image = Image(name, [], width, height)
            if text.is_file():
                image.boxes = read_boxes(text, classes, width, height, losses, name)
            images.append(image)
    return LabelSet(images, classes, ', '.join(map(str, places)), folder, losses)


def _images(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(file for file in place.rglob('*') if is_image(file) and not file.name.startswith('.'))
    lines = place.read_text(encoding='utf-8').split('\n')
    return [(place.parent / line.strip()).resolve() for line in lines if line.strip()]


def _common(places: Sequence[Path]) -> Path:
    import os

    return Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))


def label_file(image: Path) -> Path:
    """The text file of an image: the last folder ``images`` of its path becomes ``labels``."""
    parts = list(image.parent.parts)
    if 'images' in parts:
        parts[len(parts) - 1 - parts[::-1].index('images')] = 'labels'
    return Path(*parts, f'{image.stem}.txt')


def read_boxes(
    path: Path, classes: Sequence[str], width: int, height: int, losses: Losses, image: str
) -> list[Box]:
    """The boxes of a text file. Lines of more corners are polygons, which become the boxes around them."""
    boxes = []
    for number, line in enumerate(path.read_text(encoding='utf-8-sig').splitlines(), 1):
        if not line.strip():
            continue
        try:
            row, *values = (float(part) for part in line.split())
        except ValueError:
            raise LabelFileError(
                f'{path}: line {number}: {line[:60]!r} has a part that is no number'
            ) from None
        if row % 1 or not 0 <= row < len(classes):
            raise LabelFileError(
                f'{path}: line {number}: class {row:g}, but there are names for 0 to {len(classes) - 1}'
            )
        if len(values) in (4, 5):
            x, y, w, h, *score = values
            corners = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        elif len(values) >= 6 and len(values) % 2 == 0:
            score = []
            corners = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
            losses.add('polygons became the boxes around them', image, box=True)
        else:
            raise LabelFileError(
                f'{path}: line {number}: {len(values)} numbers after the class; a box has 4, with a score 5'
            )
        x1, y1, x2, y2 = (value * side for value, side in zip(corners, (width, height) * 2))
        box = Box(classes[int(row)], x1, y1, x2, y2, *score)
        if usable(box, image, losses):
            boxes.append(box)
    return boxes


def write(sets: Mapping[str, LabelSet], folder: Path, losses: Losses) -> list[Path]:
    """Write ``data.yaml`` and ``labels/SPLIT/NAME.txt``; the sizes of the images must be known.

    Crowds and ignored regions are left out: to YOLO they would be objects.
    """
    import yaml

    classes = next(iter(sets.values())).classes
    places = OutputNames(folder)
    texts = {}
    for split, labels in sets.items():
        for image in labels.images:
            place = places.path(Path('labels', split or 'train', image.name), '.txt', source=image.name)
            texts[place] = '\n'.join(_lines(image, classes, losses))
    for place, text in texts.items():
        write_text(place, text + '\n' if text else '')
    content: dict[str, Any] = {split or 'train': f'images/{split or "train"}' for split in sets}
    content.setdefault('val', content['train'] if 'train' in content else next(iter(content.values())))
    content.setdefault('train', content['val'])
    content['names'] = dict(enumerate(classes))
    write_text(folder / 'data.yaml', yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return [folder / 'data.yaml']


def _lines(image: Image, classes: tuple[str, ...], losses: Losses) -> list[str]:
    lines = []
    for key in ('attributes', 'video'):
        losses.add(f'images lose their {key}', image.name, bool(getattr(image, key)))
    for box in image.boxes:
        if box.crowd or box.ignored:
            losses.add('crowds and ignored regions are left out', image.name, box=True)
            continue
        losses.add('boxes lose their attributes', image.name, bool(box.attributes))
        losses.add('boxes lose their ids', image.name, box.id is not None)
        inside = _inside(box, image)
        if inside is not box:
            losses.add('boxes whose middle or size is beyond the image are cut', image.name, box=True)
            if inside.x2 <= inside.x1 or inside.y2 <= inside.y1:
                losses.add('boxes outside the image are left out', image.name)
                continue
        width, height = image.width, image.height
        values = [
            (inside.x1 + inside.x2) / 2 / width,
            (inside.y1 + inside.y2) / 2 / height,
            inside.width / width,
            inside.height / height,
        ]
        values += [] if box.score is None else [box.score]
        lines.append(' '.join([str(classes.index(box.category)), *(f'{value:.12g}' for value in values)]))
    return lines


def _inside(box: Box, image: Image) -> Box:
    """The box, cut to the image where its middle or its size is beyond it: YOLO's readers refuse such an image."""
    import msgspec

    width, height = image.width, image.height
    middle = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    if 0 <= middle[0] <= width and 0 <= middle[1] <= height and box.width <= width and box.height <= height:
        return box
    x1, x2 = (min(max(value, 0.0), width) for value in (box.x1, box.x2))
    y1, y2 = (min(max(value, 0.0), height) for value in (box.y1, box.y2))
    return msgspec.structs.replace(box, x1=x1, y1=y1, x2=x2, y2=y2)
