"""labelme's JSON (https://github.com/wkentaro/labelme): a file an image, with its shapes.

Flags hold what is true or false; ``attributes``, ``score`` and ``track_id`` of shapes, which labelme keeps but does
not show, hold the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ..bdd100k.scalabel import LabelFileError
from ..files.json_files import read_json
from ..files.outputs import OutputNames
from ..files.replacing import write_json
from .form import Box, Image, LabelSet, Losses, classes_in, take_flags, usable, with_flags


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str = 'polygon'
    flags: dict[str, Any] | None = None
    group_id: int | None = None
    attributes: dict[str, Any] | None = None
    score: float | None = None
    track_id: Any = None


class _File(msgspec.Struct):
    shapes: list[_Shape]
    imagePath: str  # noqa: N815 (the format's name)
    imageWidth: int | None = None  # noqa: N815
    imageHeight: int | None = None  # noqa: N815
    flags: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None


def read(files: Sequence[Path], folder: Path | None, source: str) -> LabelSet:
    """The shapes of some files: rectangles, and polygons and circles as the boxes around them, which are counted.

    Args:
        files: The JSON files.
        folder: Where the images are; None takes where ``imagePath`` leads from each file.
        source: For messages.

    Raises:
        LabelFileError: A file is none of labelme's; names it.
    """
    losses, images, paths = Losses(), [], []
    for file in files:
        try:
            content = read_json(file, _File, "labelme's JSON")
        except ValueError as error:
            raise LabelFileError(str(error)) from error
        path = file.parent / content.imagePath.replace('\\', '/')
        paths.append(Path(os.path.normpath(path)))
        image = Image('', [], content.imageWidth, content.imageHeight)
        image.attributes = {**(content.flags or {}), **(content.attributes or {})}
        images.append(image)
        for i, shape in enumerate(content.shapes):
            _add(shape, image, f'{file}: shape {i + 1}', content.imagePath, losses)
    if folder is None:
        folder = Path(os.path.commonpath([path.parent for path in paths])) if paths else None
    for image, path in zip(images, paths):
        inside = folder is not None and path.is_relative_to(folder)
        image.name = path.relative_to(folder).as_posix() if inside else PurePosixPath(path).name
    return LabelSet(images, classes_in(images), source, folder, losses)


def _add(shape: _Shape, image: Image, place: str, name: str, losses: Losses) -> None:
    xs, ys = [x for x, _ in shape.points], [y for _, y in shape.points]
    kind = shape.shape_type
    if kind in ('point', 'points', 'line', 'linestrip') or len(xs) < 2:
        losses.add(f'shapes of type {kind} are left out', name)
        return
    if kind == 'circle':
        radius = ((xs[0] - xs[1]) ** 2 + (ys[0] - ys[1]) ** 2) ** 0.5
        corners = xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius
    else:
        corners = min(xs), min(ys), max(xs), max(ys)
    losses.add(f'{kind}s became the boxes around them', name, kind != 'rectangle', box=True)
    try:
        attributes, crowd, ignored = take_flags({**(shape.flags or {}), **(shape.attributes or {})})
    except ValueError as error:
        raise LabelFileError(f'{place}: crowd or ignored is {error}') from error
    id = shape.group_id if shape.track_id is None else shape.track_id
    box = Box(shape.label, *corners, shape.score, crowd, ignored, None if id is None else str(id), attributes)
    if usable(box, name, losses):
        image.boxes.append(box)


def write(sets: Mapping[str, LabelSet], folder: Path, losses: Losses) -> list[Path]:
    """Write ``SPLIT/NAME.json``; ``imagePath`` leads to the image where that is known, else beside the file.

    The sizes of the images must be known.
    """
    places, contents = OutputNames(folder), {}
    for split, labels in sets.items():
        for image in labels.images:
            place = places.path(Path(split, image.name), '.json', source=image.name)
            path = labels.path(image)
            beside = (
                Path(image.name).name
                if path is None
                else os.path.relpath(path.resolve(), place.parent.resolve())
            )
            contents[place] = _content(image, Path(beside).as_posix(), losses)
    for place, content in contents.items():
        write_json(place, content, indent=2)
    return [folder / split for split in sets]


def _content(image: Image, path: str, losses: Losses) -> dict:
    losses.add('images lose their video', image.name, image.video is not None)
    content: dict[str, Any] = dict(
        version='5.5.0',
        flags={key: value for key, value in image.attributes.items() if isinstance(value, bool)},
        shapes=[_shape(box) for box in image.boxes],
        imagePath=path,
        imageData=None,
        imageHeight=image.height,
        imageWidth=image.width,
    )
    rest = {key: value for key, value in image.attributes.items() if not isinstance(value, bool)}
    return content | (dict(attributes=rest) if rest else {})


def _shape(box: Box) -> dict:
    attributes = with_flags(box)
    shape: dict[str, Any] = dict(
        label=box.category,
        points=[[box.x1, box.y1], [box.x2, box.y2]],
        group_id=int(box.id) if box.id and box.id.isdecimal() and str(int(box.id)) == box.id else None,
        description='',
        shape_type='rectangle',
        flags={key: value for key, value in attributes.items() if isinstance(value, bool)},
    )
    rest = {key: value for key, value in attributes.items() if not isinstance(value, bool)}
    if rest:
        shape['attributes'] = rest
    if box.score is not None:
        shape['score'] = box.score
    if box.id is not None and shape['group_id'] is None:
        shape['track_id'] = box.id
    return shape
