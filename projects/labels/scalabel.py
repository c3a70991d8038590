"""Scalabel's JSON (https://doc.scalabel.ai/format.html): holds all that the form has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ..bdd100k.scalabel import Corners, LabelFileError, decode_frames, json_files, naming
from ..files.replacing import replacing
from .form import Box, Image, LabelSet, Losses, classes_in, encode, take_flags, usable, with_flags


class _Size(msgspec.Struct):
    width: int
    height: int


class _Label(msgspec.Struct):
    category: str | None = None
    box2d: Corners = None
    score: float | None = None
    id: Any = None
    attributes: dict[str, Any] | None = None


class _Frame(msgspec.Struct):
    name: str
    labels: list[_Label] | None = None
    attributes: dict[str, Any] | None = None
    size: _Size | None = None
    videoName: str | None = None  # noqa: N815 (the format's name)
    frameIndex: int | None = None  # noqa: N815


def read(path: Path) -> LabelSet:
    """A file, or the files of a folder; labels without a box (lanes, areas, masks) are counted as lost.

    Raises:
        LabelFileError: Not a Scalabel file, or a box without a category; names the place.
    """
    images, losses = [], Losses()
    for file in json_files(path):
        with naming(file):
            for frame in decode_frames(file.read_bytes(), file, _Frame):
                images.append(_image(frame, file, losses))
    return LabelSet(images, classes_in(images), str(path), losses=losses)


def _image(frame: _Frame, file: Path, losses: Losses) -> Image:
    boxes = []
    for i, label in enumerate(frame.labels or ()):
        if label.box2d is None:
            losses.add('labels without a box (lanes, areas, masks) are left out', frame.name)
            continue
        place = f'{file}: frame {frame.name!r}: labels[{i}]'
        if not label.category:
            raise LabelFileError(f'{place} has no category; every box needs the name of its class')
        corners = label.box2d if isinstance(label.box2d, tuple) else msgspec.structs.astuple(label.box2d)
        x1, y1, x2, y2 = corners
        try:
            attributes, crowd, ignored = take_flags(label.attributes or {})
        except ValueError as error:
            raise LabelFileError(f'{place}.attributes: crowd or ignored is {error}') from error
        name = None if label.id is None else str(label.id)
        box = Box(label.category, x1, y1, x2 + 1, y2 + 1, label.score, crowd, ignored, name, attributes)
        if usable(box, frame.name, losses):
            boxes.append(box)
    size = (frame.size.width, frame.size.height) if frame.size else (None, None)
    return Image(frame.name, boxes, *size, frame.attributes or {}, frame.videoName, frame.frameIndex)


def write(labels: LabelSet, path: Path, losses: Losses) -> None:
    """Write a file: a list of frames."""
    with replacing(path) as part, open(part, 'wb') as file:
        file.write(b'[')
        for row, image in enumerate(labels.images):
            file.write((b',\n' if row else b'\n') + encode(_frame(image)))
        file.write(b'\n]\n')


def _frame(image: Image) -> dict:
    frame: dict[str, Any] = dict(name=image.name)
    if image.video is not None:
        frame['videoName'] = image.video
    if image.frame is not None:
        frame['frameIndex'] = image.frame
    if image.width and image.height:
        frame['size'] = dict(width=image.width, height=image.height)
    if image.attributes:
        frame['attributes'] = image.attributes
    frame['labels'] = [_label(box, str(i)) for i, box in enumerate(image.boxes)]
    return frame


def _label(box: Box, spare: str) -> dict:
    label: dict[str, Any] = dict(id=box.id or spare, category=box.category)
    if box.score is not None:
        label['score'] = box.score
    if attributes := with_flags(box):
        label['attributes'] = attributes
    label['box2d'] = dict(x1=box.x1, y1=box.y1, x2=box.x2 - 1, y2=box.y2 - 1)
    return label
