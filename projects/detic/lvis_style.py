"""COCO- and LVIS-style annotation files, with the image labels and captions that Detic adds, checked when read."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ..bdd100k.scalabel import is_true
from ..files.json_files import read_json


class Category(msgspec.Struct):
    id: int
    name: str = ''
    frequency: str | None = None
    freebase_id: str | None = None


class Image(msgspec.Struct):
    id: int
    width: int
    height: int
    file_name: str | None = None
    coco_url: str | None = None
    tar_index: int | None = None
    pos_category_ids: list[int] = []
    captions: list[str] = []
    neg_category_ids: list[int] = []
    not_exhaustive_category_ids: list[int] = []


class Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: list[float] = []
    segmentation: list[list[float]] | dict | None = None
    area: float | None = None
    iscrowd: Any = 0  #: any truth value (`is_true`); 0 or 1 once the file was read


class AnnotationFile(msgspec.Struct):
    """A file's content; its annotations have a box each."""

    images: list[Image]
    categories: list[Category]
    annotations: list[Annotation] = []


class _Id(msgspec.Struct):
    id: int


class _Head(msgspec.Struct):
    images: list[_Id]
    categories: list[Category]


def read_categories(path: str | Path) -> tuple[list[Category], set[int]]:
    """The categories of an annotation file in the order of their ids, and the ids of its images.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Another form, or an id twice.
    """
    head = _decode(path, _Head)
    _check_ids(path, head)
    return sorted(head.categories, key=lambda c: c.id), {i.id for i in head.images}


def read_lvis_style(path: str | Path) -> AnnotationFile:
    """A COCO- or LVIS-style file. A missing box is that of the outline; categories are sorted by their ids.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is not of that form, has an id twice, or an annotation of an image or category that
            it lacks, or without a usable box; the message names the place.
    """
    content = _decode(path, AnnotationFile)
    _check_ids(path, content)
    content.categories.sort(key=lambda c: c.id)
    images, categories = ({part.id for part in parts} for parts in (content.images, content.categories))
    for number, annotation in enumerate(content.annotations):
        place = f'{path}: annotations[{number}], image {annotation.image_id}'
        if annotation.image_id not in images:
            strays = sum(a.image_id not in images for a in content.annotations)
            raise ValueError(
                f'{place}: no image has that id ({strays} of {len(content.annotations)} annotations belong to '
                f'images that the file lacks): add the images, or take these annotations out'
            )
        if annotation.category_id not in categories:
            raise ValueError(
                f'{place}: category_id {annotation.category_id} is not among the categories '
                f'({_some(sorted(categories))})'
            )
        try:
            annotation.iscrowd = int(is_true(annotation.iscrowd))
        except ValueError as error:
            raise ValueError(f'{place}: iscrowd is {error}') from error
        if not annotation.bbox:
            annotation.bbox = _box_of(annotation.segmentation)
        box = annotation.bbox
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise ValueError(f'{place}: bbox is {box or "missing"}; expected [x, y, width, height]')
    return content


def _decode(path: str | Path, form: type) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'annotation file {path} not found; see configs/detic/README.md for its source'
        )
    return read_json(path, form, 'a COCO- or LVIS-style annotation file')


def _check_ids(path: str | Path, content: Any) -> None:
    for name in ('images', 'categories'):
        twice = [i for i, n in Counter(part.id for part in getattr(content, name)).items() if n > 1]
        if twice:
            raise ValueError(f'{path}: {name} with the same id: {_some(sorted(twice))}')
    if not content.categories:
        raise ValueError(f'{path} has no categories')


def _box_of(segmentation: list | dict | None) -> list[float]:
    if not isinstance(segmentation, list):
        return []
    x, y = ([v for polygon in segmentation for v in polygon[axis::2]] for axis in (0, 1))
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)] if x and y else []


def _some(values: list, number: int = 5) -> str:
    """The first of some values, and how many there are."""
    text = ', '.join(map(str, values[:number]))
    return text if len(values) <= number else f'{text}, ... ({len(values)})'
