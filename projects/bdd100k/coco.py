"""COCO's files as columns: ground truth (``images``, ``annotations``, ``categories``) and results.

Format: https://cocodataset.org/#format-data and #format-results. A box is [x, y, width, height] in pixels.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .categories import IGNORED, Categories, unknown
from .scalabel import LabelFileError, naming

#: Bytes at a file's start that say what it is.
_HEAD = 1 << 16


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | bool = 0
    ignore: int | bool = 0
    score: float | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = []


class _Result(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    score: float
    bbox: tuple[float, float, float, float] | None = None


def is_coco(path: Path) -> bool:
    """Whether a file is COCO's ground truth: an object with ``images`` and ``annotations`` or ``categories``."""
    with open(path, 'rb') as file:
        head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8)
    if not re.match(rb'\s*\{', head) or re.match(rb'\s*\{\s*"frames"', head):
        return False
    if path.stat().st_size > _HEAD:
        found = re.search(rb'"(images|annotations|categories|info|licenses)"\s*:\s*[\[{]', head)
        return found is not None and b'"frames"' not in head[: found.start()]
    try:
        keys = msgspec.json.decode(head, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return 'images' in keys and ('annotations' in keys or 'categories' in keys)


def is_coco_results(path: Path) -> bool:
    """Whether a file is a list of COCO's results."""
    with open(path, 'rb') as file:
        head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8)
    first = re.match(rb'\s*\[\s*(\{[^{}]*\})', head)
    return first is not None and b'"image_id"' in first[1] and b'"category_id"' in first[1]


def _decode(path: Path, kind: type) -> Any:
    with naming(path):
        try:
            return msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8), type=kind)
        except msgspec.ValidationError as error:
            raise LabelFileError(f'{path}: not a COCO file: {error}') from error


def _unique(path: Path, what: str, values: list) -> None:
    value, count = Counter(values).most_common(1)[0]
    if count > 1:
        raise LabelFileError(f'{path}: {count} {what} have id {value}; ids must differ')


def read_coco(path: str | Path, categories: Categories):
    """The boxes of a COCO file; ``image_ids`` and ``category_ids`` are those of the file.

    ``iscrowd`` and ``ignore`` mark crowds and ignored regions; ``area`` is the file's (of a mask, where it has one).

    Raises:
        LabelFileError: Not a COCO file, an id twice or of nothing, or a category that ``categories`` has not.
    """
    from .columns import FRAME_ATTRIBUTES, Columns

    path = Path(path)
    file = _decode(path, _File)
    if file.images:
        _unique(path, 'images', [image.id for image in file.images])
    if file.categories:
        _unique(path, 'categories', [category.id for category in file.categories])
        _unique_names(path, file.categories)
    rows = {image.id: row for row, image in enumerate(file.images)}
    names = {category.id: category.name for category in file.categories}
    boxed = [a for a in file.annotations if a.bbox is not None]
    for a in boxed:
        if a.image_id not in rows or a.category_id not in names:
            key, table = ('category_id', 'categories') if a.image_id in rows else ('image_id', 'images')
            raise LabelFileError(
                f'{path}: an annotation has {key} {getattr(a, key)}, which is not in "{table}"'
            )
    codes = categories.codes()
    if categories.classes is None:
        codes |= {name: row for row, name in enumerate(names.values())}
        classes = tuple(names.values())
    else:
        classes = categories.classes
        for a in boxed:
            if names[a.category_id] not in codes:
                frame = file.images[rows[a.image_id]].file_name
                raise LabelFileError(
                    f'{path}: frame {frame!r}: category is {unknown(names[a.category_id], codes)}'
                )
    code = np.array([codes[names[a.category_id]] for a in boxed], np.int16)
    frame = np.array([rows[a.image_id] for a in boxed], np.int32)
    order = np.argsort(frame, kind='stable')
    xyxy = np.array([a.bbox for a in boxed], float).reshape(-1, 4)
    xyxy[:, 2:] += xyxy[:, :2] - 1
    areas = np.array([a.bbox[2] * a.bbox[3] if a.area is None else a.area for a in boxed], float)
    m = len(file.images)
    return Columns(
        names=[image.file_name for image in file.images],
        videos=[None] * m,
        has_labels=np.isin(np.arange(m), frame),
        attributes={k: np.zeros(m, np.int32) for k in FRAME_ATTRIBUTES},
        attribute_values={k: [''] for k in FRAME_ATTRIBUTES},
        frame=frame[order],
        category=np.where(code >= IGNORED, code - IGNORED, code).astype(np.int16)[order],
        xyxy=xyxy[order],
        score=np.array([np.nan if a.score is None else a.score for a in boxed], float)[order],
        ignored=((code >= IGNORED) | np.array([bool(a.ignore) for a in boxed], bool))[order],
        crowd=np.array([bool(a.iscrowd) for a in boxed], bool)[order],
        source=str(path),
        unboxed=len(file.annotations) - len(boxed),
        classes=classes,
        image_ids=np.array([image.id for image in file.images], np.int64),
        category_ids=_ids(classes, names, codes),
        area=areas[order],
    )


def _unique_names(path: Path, categories: list[_Category]) -> None:
    name, count = Counter(category.name for category in categories).most_common(1)[0]
    if count > 1:
        raise LabelFileError(f'{path}: {count} categories are named {name!r}; names must differ')


def _ids(classes: tuple[str, ...], names: dict[int, str], codes: dict[Any, int]) -> tuple[int, ...]:
    """The file's id of each class: by its own name, else by another spelling; of those it lacks, ids that are free."""
    ids = {codes[name]: id for id, name in reversed(names.items()) if name in codes}
    ids |= {row: id for id, name in names.items() for row in [codes.get(name)] if name in classes}
    spare = max(names, default=0)
    for row in range(len(classes)):
        if row not in ids:
            ids[row] = spare = spare + 1
    return tuple(ids[row] for row in range(len(classes)))


def read_coco_results(path: str | Path, truth):
    """The boxes of a file of COCO results as columns of the classes of ``truth``.

    Args:
        path: A list of ``{"image_id", "category_id", "bbox", "score"}``.
        truth: The columns of the ground truth, whose ``image_ids`` and ``category_ids`` the ids are.

    Raises:
        LabelFileError: Not such a file, or ids that the ground truth has not.
    """
    from .columns import FRAME_ATTRIBUTES, Columns

    path = Path(path)
    results = _decode(path, list[_Result])
    rows = {int(id): row for row, id in enumerate(truth.image_ids)}
    classes = {id: row for row, id in enumerate(truth.category_ids)}
    boxed = [r for r in results if r.bbox is not None]
    for what, key, known in (('image_id', 'image_id', rows), ('category_id', 'category_id', classes)):
        other = Counter(getattr(r, key) for r in boxed if getattr(r, key) not in known)
        if other:
            id, _ = other.most_common(1)[0]
            raise LabelFileError(
                f'{path}: {sum(other.values())} of {len(boxed)} results have the wrong {what}: the ground truth '
                f'{truth.source} has no {id}; it has {", ".join(map(str, list(known)[:5]))}, ... Are they '
                'results for another file?'
            )
    frame = np.array([rows[r.image_id] for r in boxed], np.int32)
    order = np.argsort(frame, kind='stable')
    used, frame = np.unique(frame[order], return_inverse=True)
    xyxy = np.array([r.bbox for r in boxed], float).reshape(-1, 4)[order]
    xyxy[:, 2:] += xyxy[:, :2] - 1
    m, n = len(used), len(boxed)
    names = truth.names
    return Columns(
        names=[names[row] for row in used],
        videos=[truth.videos[row] for row in used],
        has_labels=np.ones(m, bool),
        attributes={k: np.zeros(m, np.int32) for k in FRAME_ATTRIBUTES},
        attribute_values={k: [''] for k in FRAME_ATTRIBUTES},
        frame=frame.astype(np.int32),
        category=np.array([classes[r.category_id] for r in boxed], np.int16)[order],
        xyxy=xyxy,
        score=np.array([r.score for r in boxed], float)[order],
        ignored=np.zeros(n, bool),
        crowd=np.zeros(n, bool),
        source=str(path),
        unboxed=len(results) - n,
        classes=tuple(truth.classes),
    )
