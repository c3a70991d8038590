"""Label Studio's JSON of tasks (https://labelstud.io/guide/export): boxes are ``rectanglelabels`` in percent.

Attributes of images are further keys of a task's ``data``; those of boxes, their ids, crowds and ignored regions are
in a region's ``meta``. Boxes with a score are written as predictions (pre-labels), others as annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec

from ..bdd100k.scalabel import LabelFileError
from ..files.json_files import read_json
from ..files.replacing import write_json
from .form import Box, Image, LabelSet, Losses, classes_in, take_flags, usable, with_flags

#: What a labeling configuration names the two controls.
FROM_NAME, TO_NAME = 'label', 'image'


class _Result(msgspec.Struct):
    type: str
    value: dict[str, Any]
    original_width: int | None = None
    original_height: int | None = None
    score: float | None = None
    meta: dict[str, Any] | None = None


class _Work(msgspec.Struct):
    result: list[_Result] = []
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_Work] = []
    predictions: list[_Work] = []


def read(path: Path) -> LabelSet:
    """An export of tasks. Of a task's annotations the last that was not cancelled counts, and where there is none,
    its last prediction. Rotated boxes and other shapes are left out and counted.

    Raises:
        LabelFileError: Not such a file, or a task without an image; names the place.
    """
    try:
        tasks = read_json(path, list[_Task], "Label Studio's JSON")
    except ValueError as error:
        raise LabelFileError(str(error)) from error
    losses, images = Losses(), []
    for number, task in enumerate(tasks, 1):
        key = next(
            (k for k in (TO_NAME, 'img', 'image_url', 'ocr') if isinstance(task.data.get(k), str)), None
        )
        if key is None:
            raise LabelFileError(
                f'{path}: task {number} has no "image" in its data; it has {sorted(task.data)}'
            )
        rest = {k: v for k, v in task.data.items() if k != key}
        frame, video = rest.pop('frame', None), rest.pop('video', None)
        image = Image(_name(task.data[key]), [], attributes=rest, video=video, frame=frame)
        done = [work for work in task.annotations if not work.was_cancelled] or task.predictions
        losses.add('further annotations of a task are left out', image.name, max(len(done) - 1, 0))
        for result in done[-1].result if done else ():
            _add(result, image, f'{path}: task {number}', losses)
        images.append(image)
    return LabelSet(images, classes_in(images), str(path), losses=losses)


def _name(url: str) -> str:
    """The image's path in a local-files URL, in an upload's, or in any other."""
    parts = urlsplit(url)
    local = parse_qs(parts.query).get('d')
    path = local[0] if local else unquote(parts.path)
    return path.lstrip('/')


def _add(result: _Result, image: Image, place: str, losses: Losses) -> None:
    if result.type != 'rectanglelabels':
        losses.add(f'regions of type {result.type} are left out', image.name)
        return
    value, width, height = result.value, result.original_width, result.original_height
    names = value.get('rectanglelabels') or []
    if not names or not width or not height:
        raise LabelFileError(
            f'{place}: a box has no {"original_width and original_height" if names else "label"}'
        )
    image.width, image.height = width, height
    if (value.get('rotation') or 0) % 360:
        losses.add('rotated boxes are left out', image.name, box=True)
        return
    losses.add('further labels of a box are left out', image.name, len(names) - 1)
    try:
        x, w, y, h = (float(value[key]) for key in ('x', 'width', 'y', 'height'))
        meta, crowd, ignored = take_flags(result.meta or {})
    except (KeyError, TypeError, ValueError) as error:
        raise LabelFileError(f'{place}: a box of {image.name!r}: {error}') from error
    id = meta.pop('track_id', None)
    x1, x2, y1, y2 = x * width / 100, (x + w) * width / 100, y * height / 100, (y + h) * height / 100
    box = Box(names[0], x1, y1, x2, y2, result.score, crowd, ignored, None if id is None else str(id), meta)
    if usable(box, image.name, losses):
        image.boxes.append(box)


def write(labels: LabelSet, path: Path, losses: Losses, prefix: str = '/data/local-files/?d=') -> None:
    """Write tasks. The sizes of the images must be known.

    Args:
        labels: The images and boxes.
        path: The file.
        losses: Counts what is not kept.
        prefix: Stands before an image's name in its URL; the default is of local storage, whose root the names
            are below.
    """
    write_json(path, [_task(image, f'{prefix}{quote(image.name)}') for image in labels.images], indent=1)


def _task(image: Image, url: str) -> dict:
    extra = dict(video=image.video, frame=image.frame)
    data = image.attributes | {key: value for key, value in extra.items() if value is not None}
    regions = [_region(box, image, i) for i, box in enumerate(image.boxes)]
    scored = bool(image.boxes) and all(box.score is not None for box in image.boxes)
    work: dict[str, Any] = dict(result=regions)
    if scored:
        work |= dict(model_version='mmroad', score=sum(box.score for box in image.boxes) / len(image.boxes))
    key = 'predictions' if scored else 'annotations'
    return dict(data={**data, TO_NAME: url}, **{key: [work]})


def _region(box: Box, image: Image, number: int) -> dict:
    width, height = image.width, image.height
    region: dict[str, Any] = dict(
        id=f'box{number}',
        type='rectanglelabels',
        from_name=FROM_NAME,
        to_name=TO_NAME,
        original_width=width,
        original_height=height,
        image_rotation=0,
        value=dict(
            x=100 * box.x1 / width,
            y=100 * box.y1 / height,
            width=100 * box.width / width,
            height=100 * box.height / height,
            rotation=0,
            rectanglelabels=[box.category],
        ),
    )
    if box.score is not None:
        region['score'] = box.score
    meta = with_flags(box)
    if box.id is not None:
        meta['track_id'] = box.id
    return region | (dict(meta=meta) if meta else {})
