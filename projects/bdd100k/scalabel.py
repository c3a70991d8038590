"""Scalabel label files (BDD100K's format) as typed records.

Format: https://doc.scalabel.ai/format.html. Reading does not import the
``scalabel`` package: msgspec decodes the same fields several times faster,
skips what a detector does not use, and says where a file is wrong.
"""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

#: The detection classes in BDD100K's order (COCO category ids 1-10).
DET_CLASSES = (
    'pedestrian',
    'rider',
    'car',
    'truck',
    'bus',
    'train',
    'motorcycle',
    'bicycle',
    'traffic light',
    'traffic sign',
)
#: Other spellings of the classes, as the official evaluator reads them.
NAME_MAPPING = {
    'bike': 'bicycle',
    'caravan': 'car',
    'motor': 'motorcycle',
    'person': 'pedestrian',
    'van': 'car',
}
#: Categories that are not evaluated, and the class they are ignored in.
IGNORE_MAPPING = {'other person': 'pedestrian', 'other vehicle': 'car', 'trailer': 'truck'}


_FALSE = ('false', '0', 'no', 'n', 'f', 'off')
_TRUE = ('true', '1', 'yes', 'y', 't', 'on')


class LabelFileError(ValueError):
    """A label file cannot be used; the message names the file and the place."""


def json_files(path: str | Path) -> list[Path]:
    """The label files of a path: the file itself, or ``FOLDER/*.json`` in sorted order.

    These are the files that the official tool takes: names that begin with a dot (``._a.json`` of macOS) and
    subfolders are left out; subfolders that hold label files are told by a warning. Of a folder that our
    tools wrote, which holds det.json and det.coco.json, it is det.json alone.

    Raises:
        LabelFileError: No such file or folder, or a folder without a label file; says what it holds.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise LabelFileError(f'{path}: no such file or folder')
    shown = sorted(p for p in path.iterdir() if not p.name.startswith('.'))
    files = [p for p in shown if p.suffix == '.json' and p.is_file()]
    names = {p.name for p in files}
    if {'det.json', 'det.coco.json'} <= names:
        files = [path / 'det.json']
    deeper = [p for p in shown if p.suffix != '.json' and p.is_dir() and any(p.glob('[!.]*.json'))]
    if not files:
        packed = [p.name for p in shown if '.json' in p.suffixes]
        hint = f'; give {deeper[0]}, which holds some' if deeper else ''
        hint = hint or (f'; unpack {packed[0]} there' if packed else '')
        raise LabelFileError(f'{path}: the folder holds no .json file{hint}')
    if deeper:
        warnings.warn(
            f'{path}: {len(deeper)} subfolders hold .json files too, which are not read; the first is {deeper[0]}',
            stacklevel=2,
        )
    return files


def is_true(value: Any) -> bool:
    """The truth value of an attribute such as ``crowd`` or ``ignored``, as the official tool reads it.

    Whole numbers are true where they are not 0, and so are their texts; of other texts, in any case, ``true``,
    ``yes``, ``y``, ``t``, ``on`` are true and ``false``, ``no``, ``n``, ``f``, ``off`` are not. What is missing,
    null or empty is false.

    Raises:
        ValueError: Anything else (the official tool takes other texts for true, whatever they say).
    """
    if value is None or value == '':
        return False
    if isinstance(value, str):
        if value.lower() in _TRUE + _FALSE:
            return value.lower() in _TRUE
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, (bool, int, float)) and value % 1 == 0:
        return value != 0
    raise ValueError(f'{value!r}, which is no truth value: write true or false')


class Box2D(msgspec.Struct, gc=False):
    """Corners in pixels; ``x2`` and ``y2`` are inclusive (width = x2 - x1 + 1)."""

    x1: float
    y1: float
    x2: float
    y2: float


class Label(msgspec.Struct):
    """One object. Fields that detection does not use are skipped."""

    category: str | None = None
    box2d: Box2D | None = None
    score: float | None = None
    id: str | int | None = None
    attributes: dict[str, bool | int | float | str | None | list] | None = None


class Frame(msgspec.Struct):
    """One image with its labels; ``name`` is the image's file name."""

    name: str
    labels: list[Label] | None = None
    attributes: dict[str, bool | int | float | str | None | list] | None = None


def load_frames(path: str | Path) -> list[Frame]:
    """Read a Scalabel file, or the label files of a folder (``json_files``).

    A file holds a bare list of frames, ``{"frames": [...]}`` or one frame.

    Args:
        path: The file or folder.

    Returns:
        The frames in the order of the files.

    Raises:
        LabelFileError: Nothing to read at ``path``, or a file that is not
            Scalabel; the message names the file and the place inside it.
    """
    return [frame for file in json_files(path) for frame in decode_frames(file.read_bytes(), file, Frame)]


@functools.cache
def _decoders(frame_type: type) -> tuple[msgspec.json.Decoder, msgspec.json.Decoder, msgspec.json.Decoder]:
    dataset = msgspec.defstruct('Dataset', [('frames', list[frame_type])])
    return tuple(msgspec.json.Decoder(kind) for kind in (list[frame_type], dataset, frame_type))


def decode_frames(content: bytes, path: str | Path, frame_type: type) -> list:
    """The frames of one file's content, as records of ``frame_type``.

    Raises:
        LabelFileError: Not a Scalabel label file; the message names the file and the place.
    """
    many, dataset, single = _decoders(frame_type)
    start = content.lstrip()[:1]
    try:
        if start == b'[':
            return many.decode(content)
        if start != b'{':
            raise LabelFileError(f'{path}: not JSON (starts with {content[:20]!r})')
        keys = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        if 'frames' in keys:
            return dataset.decode(content).frames
        if 'name' in keys:
            return [single.decode(content)]
    except msgspec.DecodeError as error:
        raise LabelFileError(f'{path}: not a Scalabel label file: {error}{_where(content, error)}') from error
    raise LabelFileError(
        f'{path}: neither a list of frames nor an object with "frames"; its keys are '
        f'{", ".join(sorted(keys)) or "none"}. A COCO file has "images": give the Scalabel file instead.'
    )


def _where(content: bytes, error: msgspec.DecodeError) -> str:
    """The frame of a decoding error, by its name, and for broken JSON the text around the place."""
    message = str(error)
    keys = dict[str, msgspec.Raw]
    row = re.search(r'at `\$(\.frames)?\[(\d+)\]', message)
    with contextlib.suppress(msgspec.DecodeError, KeyError):
        if row:
            frames = msgspec.json.decode(content, type=keys)['frames'] if row[1] else content
            frame = msgspec.json.decode(frames, type=list[msgspec.Raw])[int(row[2])]
            return f' (frame {msgspec.json.decode(msgspec.json.decode(frame, type=keys)["name"])!r})'
    if byte := re.search(r'\(byte (\d+)\)', message):
        place = int(byte[1])
        around = content[max(0, place - 60) : place + 20].decode(errors='replace')
        start = content.rfind(b'"name"', 0, place)
        name = re.match(rb'"name"\s*:\s*"([^"]*)"', content[start : start + 1000]) if start >= 0 else None
        near = f', in or after frame {name[1].decode(errors="replace")!r}' if name else ''
        hint = '. NaN and Infinity are no numbers in JSON' if re.search('NaN|Inf', around) else ''
        return f'{near}, near {around!r}{hint}'
    return ''


def map_category(name: str) -> tuple[str, bool]:
    """The detection class of a category, and whether it is only ignored there.

    Args:
        name: A category as it stands in a label file.

    Raises:
        KeyError: The category belongs to no detection class.
    """
    name = NAME_MAPPING.get(name, name)
    if name in IGNORE_MAPPING:
        return IGNORE_MAPPING[name], True
    if name not in DET_CLASSES:
        raise KeyError(name)
    return name, False


def duplicate_names(frames: Iterable[Frame]) -> list[str]:
    """Names that more than one frame carries, in order of their second appearance."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for frame in frames:
        if frame.name in seen:
            repeated[frame.name] = None
        seen.add(frame.name)
    return list(repeated)
