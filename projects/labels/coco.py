"""COCO's JSON of boxes (https://cocodataset.org/#format-data).

Beside COCO's own fields, ``attributes`` of annotations (as CVAT writes them) and of images, ``track_id``, ``score``
and ``ignore`` are read and written.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import msgspec

from ..bdd100k.scalabel import LabelFileError, naming
from ..files.replacing import replacing
from .form import Box, Image, LabelSet, Losses, classes_in, encode, take_flags, usable

#: A mask or keypoints that are none.
_EMPTY = (b'', b'[]', b'null', b'[[]]')


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int | None = None
    height: int | None = None
    attributes: dict[str, Any] | None = None
    video: str | None = None
    frame_index: int | None = None


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: int | bool = 0
    ignore: int | bool = 0
    score: float | None = None
    track_id: Any = None
    attributes: dict[str, Any] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()
    keypoints: msgspec.Raw = msgspec.Raw()


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = []


def read(path: Path) -> LabelSet:
    """A COCO file. Masks and keypoints are counted as lost (their boxes are kept).

    Raises:
        LabelFileError: Not a COCO file, or an annotation of no image or category.
    """
    with naming(path):
        try:
            file = msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8), type=_File)
        except msgspec.ValidationError as error:
            raise LabelFileError(f'{path}: not a COCO file: {error}') from error
    losses, names = Losses(), {category.id: category.name for category in file.categories}
    images = {
        i.id: Image(i.file_name, [], i.width, i.height, i.attributes or {}, i.video, i.frame_index, i.id)
        for i in file.images
    }
    if len(images) < len(file.images) or len(names) < len(file.categories):
        raise LabelFileError(f'{path}: ids of images or categories stand twice; ids must differ')
    for a in file.annotations:
        if a.image_id not in images or a.category_id not in names:
            key, table = ('category_id', 'categories') if a.image_id in images else ('image_id', 'images')
            raise LabelFileError(
                f'{path}: an annotation has {key} {getattr(a, key)}, which is not in "{table}"'
            )
        image = images[a.image_id]
        for what, value in (('masks', a.segmentation), ('keypoints', a.keypoints)):
            losses.add(f'{what} are left out, their boxes are kept', image.name, bytes(value) not in _EMPTY)
        if a.bbox is None:
            losses.add('annotations without a box are left out', image.name)
            continue
        x, y, width, height = a.bbox
        try:
            attributes, crowd, ignored = take_flags(a.attributes or {})
        except ValueError as error:
            raise LabelFileError(f'{path}: image {image.name!r}: crowd or ignored is {error}') from error
        box = Box(names[a.category_id], x, y, x + width, y + height, a.score, attributes=attributes)
        box.crowd, box.ignored = crowd or bool(a.iscrowd), ignored or bool(a.ignore)
        box.id = None if a.track_id is None else str(a.track_id)
        if usable(box, image.name, losses):
            image.boxes.append(box)
    found = list(images.values())
    ids = {name: id for id, name in names.items()}
    return LabelSet(found, classes_in(found, tuple(ids)), str(path), losses=losses, category_ids=ids)


def write(labels: LabelSet, path: Path, losses: Losses) -> None:
    """Write a COCO file. Ids of images and categories are kept where all have one, else they count from 1."""
    given = [image.id for image in labels.images]
    keep = None not in given and len(set(given)) == len(given)
    known = labels.category_ids if set(labels.classes) <= set(labels.category_ids) else {}
    ids = {name: known.get(name, row + 1) for row, name in enumerate(labels.classes)}
    with replacing(path) as part, open(part, 'wb') as file:
        categories = [dict(id=id, name=name) for name, id in ids.items()]
        file.write(b'{"categories": ' + encode(categories) + b',\n"images": [')
        for row, image in enumerate(labels.images):
            record = _record(image, image.id if keep else row + 1)
            file.write((b',\n' if row else b'\n') + encode(record))
        file.write(b'\n],\n"annotations": [')
        count = 0
        for row, image in enumerate(labels.images):
            for box in image.boxes:
                count += 1
                record = _annotation(box, count, image.id if keep else row + 1, ids[box.category])
                file.write((b',\n' if count > 1 else b'\n') + encode(record))
        file.write(b'\n]}\n')


def _record(image: Image, id: int) -> dict:
    record: dict[str, Any] = dict(id=id, file_name=image.name, width=image.width, height=image.height)
    extra = dict(attributes=image.attributes or None, video=image.video, frame_index=image.frame)
    return record | {key: value for key, value in extra.items() if value is not None}


def _annotation(box: Box, id: int, image_id: int, category_id: int) -> dict:
    record: dict[str, Any] = dict(
        id=id,
        image_id=image_id,
        category_id=category_id,
        bbox=[box.x1, box.y1, box.width, box.height],
        area=box.width * box.height,
        iscrowd=int(box.crowd),
    )
    extra = dict(
        ignore=1 if box.ignored else None,
        score=box.score,
        track_id=box.id,
        attributes=box.attributes or None,
    )
    return record | {key: value for key, value in extra.items() if value is not None}
