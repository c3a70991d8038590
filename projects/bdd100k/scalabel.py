"""Scalabel label files (BDD100K's format) as typed records.

Format: https://doc.scalabel.ai/format.html. Reading does not import the
``scalabel`` package: msgspec decodes the same fields several times faster,
skips what a detector does not use, and says where a file is wrong.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..files.json_files import kind_of_file
from ..zoo.class_names import NAME_MAPPING  # noqa: F401
from .layouts import MARKERS, as_frames, is_old

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
#: Categories that are not evaluated, and the class they are ignored in.
IGNORE_MAPPING = {'other person': 'pedestrian', 'other vehicle': 'car', 'trailer': 'truck'}


_FALSE = ('false', '0', 'no', 'n', 'f', 'off')
_TRUE = ('true', '1', 'yes', 'y', 't', 'on')


class LabelFileError(ValueError):
    """A label file cannot be used; the message names the file and the place."""


def json_files(path: str | Path) -> list[Path]:
    """The label files of a path: the file itself, or ``FOLDER/*.json`` in sorted order.

    These are the files that the official tool takes: names that begin with a dot (``._a.json`` of macOS) and
    subfolders are left out; subfolders that hold label files, and names such as a.JSON and a.json.gz, are told
    by a warning. Of a folder that our tools wrote, which holds det.json and det.coco.json, it is det.json alone.

    Raises:
        LabelFileError: No such file or folder, or a folder without a label file; says what it holds.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise LabelFileError(f'{path}: no such file or folder')
    with os.scandir(path) as entries:
        shown = sorted((e for e in entries if not e.name.startswith('.')), key=lambda e: e.name)
    names = [e.name for e in shown if e.name.endswith('.json') and not e.is_dir()]
    if {'det.json', 'det.coco.json'} <= set(names):
        names = ['det.json']
    deeper = [path / e.name for e in shown if e.is_dir() and any((path / e.name).glob('[!.]*.json'))]
    other = [e.name for e in shown if re.search(r'\.json(\.(gz|zip|bz2|xz|zst))?$', e.name, re.IGNORECASE)]
    other = [name for name in other if not name.endswith('.json')]
    if not names:
        hint = f'; give {deeper[0]}, which holds some' if deeper else ''
        hint = hint or (f'; rename or unpack {other[0]} there' if other else '')
        raise LabelFileError(f'{path}: the folder holds no .json file{hint}')
    if other:
        warnings.warn(
            f'{path}: {len(other)} files are not named .json and are not read; the first is {other[0]}',
            stacklevel=2,
        )
    if deeper:
        warnings.warn(
            f'{path}: {len(deeper)} subfolders hold .json files too, which are not read; the first is {deeper[0]}',
            stacklevel=2,
        )
    return [path / name for name in names]


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


#: A box as files hold it: an object, or a list of x1, y1, x2, y2.
Corners = Box2D | tuple[float, float, float, float] | None


class Label(msgspec.Struct):
    """One object. Fields that detection does not use are skipped; ``crowd`` and ``ignored`` are bool."""

    category: str | None = None
    box2d: Corners = None
    score: float | None = None
    id: Any = None
    attributes: dict[str, Any] | None = None
    ood_score: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.box2d, tuple):
            self.box2d = Box2D(*self.box2d)
        attributes = self.attributes or {}
        for key in {'crowd', 'ignored'} & set(attributes):
            try:
                attributes[key] = is_true(attributes[key])
            except ValueError as error:
                raise ValueError(f'attributes.{key} is {error}') from error


class Frame(msgspec.Struct):
    """One image with its labels; ``name`` is the image's file name."""

    name: str
    labels: list[Label] | None = None
    attributes: dict[str, Any] | None = None
    videoName: str | None = None  # noqa: N815 (the format's name)


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
    frames = []
    for file in json_files(path):
        with naming(file):
            frames += decode_frames(file.read_bytes(), file, Frame)
    return frames


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Whatever ends the reading of a file becomes a LabelFileError that names it."""
    try:
        yield
    except LabelFileError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise LabelFileError(f'{path}: cannot be read: {error}') from error
    except UnicodeDecodeError as error:
        raise LabelFileError(
            f'{path}: {error.object[:60]!r} in it is no UTF-8: save the file as UTF-8'
        ) from error
    except Exception as error:  # decoders end in several ways, such as RecursionError and MemoryError
        what = f'{type(error).__name__}: {error}'
        raise LabelFileError(f'{path}: not a label file that can be read: {what}') from error


@functools.cache
def _decoder(frame_type: type) -> msgspec.json.Decoder:
    """Of a list of ``frame_type`` with room for what marks entries of older layouts."""
    fields = [(key, Any, None) for key in MARKERS]
    kind: Any = msgspec.defstruct(frame_type.__name__, fields, bases=(frame_type,))
    return msgspec.json.Decoder(list[kind])


def decode_list(content: bytes | memoryview | msgspec.Raw, frame_type: type) -> list:
    """The frames of a JSON list in any of BDD100K's layouts (see ``layouts``), as records of ``frame_type``.

    Frames made of a flat list's entries have a ``category`` that is not None.

    Raises:
        msgspec.DecodeError: Not JSON, or not frames (``msgspec.ValidationError``).
    """
    decoder = _decoder(frame_type)
    frames = decoder.decode(content)
    if not any(map(is_old, frames)):
        return frames
    (kind,) = decoder.type.__args__
    try:
        found = as_frames(msgspec.json.decode(content))
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from error
    frames = []
    for frame in found:
        try:
            frames.append(msgspec.convert(frame, kind))
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f'{error} (frame {frame["name"]!r})') from error
    return frames


def decode_frames(content: bytes, path: str | Path, frame_type: type) -> list:
    """The frames of one file's content, as records of ``frame_type``.

    The content is a list of frames, ``{"frames": [...]}``, one frame, or one of BDD100K's older layouts
    (see ``layouts``); a byte order mark of UTF-8 is skipped.

    Raises:
        LabelFileError: Not a Scalabel label file; the message names the file and the place.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    start = content.lstrip(b' \t\n\r\f\v')[:1]
    if start not in (b'[', b'{') or b'\0' in content[:2]:
        raise LabelFileError(
            f'{path}: not JSON: {kind_of_file(content) or f"it starts with {content[:20]!r}"}'
        )
    with naming(path):
        try:
            if start == b'{':
                content = _list_in(content, path)
            return decode_list(content, frame_type)
        except msgspec.DecodeError as error:
            raise LabelFileError(
                f'{path}: not a Scalabel label file: {error}{_where(bytes(content), error)}'
            ) from error


def _list_in(content: bytes, path: str | Path) -> bytes | msgspec.Raw:
    """The list of frames in an object."""
    keys = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    if 'frames' in keys:
        if content.count(b'"frames"') > 1 and _top_keys(content).count('frames') > 1:
            raise LabelFileError(
                f'{path}: has "frames" more than once: join the lists, or keep the right one'
            )
        if 'name' not in keys or _have_names(keys['frames']):
            return keys['frames']
    if 'name' in keys:
        return b'[' + content + b']'
    raise LabelFileError(
        f'{path}: neither a list of frames nor an object with "frames"; its keys are '
        f'{", ".join(sorted(keys)) or "none"}. A COCO file has "images": give the Scalabel file instead.'
    )


def _top_keys(content: bytes) -> list[str]:
    """The keys of an object, repeated ones too."""
    return json.loads(content, object_pairs_hook=lambda pairs: [key for key, _ in pairs])


def _have_names(frames: msgspec.Raw) -> bool:
    """Whether they are Scalabel's frames and not those of one image's file of 2018."""
    with contextlib.suppress(msgspec.ValidationError):
        return any(
            'name' in frame for frame in msgspec.json.decode(frames, type=list[dict[str, msgspec.Raw]])
        )
    return False


def _where(content: bytes, error: msgspec.DecodeError) -> str:
    """The frame of a decoding error, by its name, and for broken JSON the text around the place."""
    message = str(error)
    if row := re.search(r'at `\$\[(\d+)\]', message):
        with contextlib.suppress(Exception):  # the content is broken: what can be said is said
            frame = msgspec.json.decode(content, type=list[dict[str, msgspec.Raw]])[int(row[1])]
            if 'name' in frame:
                return f' (frame {msgspec.json.decode(frame["name"])!r})'
            hint = '; results of COCO are not read: give det.json' if 'image_id' in frame else ''
            return f'; its keys are {", ".join(sorted(frame)) or "none"}{hint}'
    if byte := re.search(r'\(byte (\d+)\)', message):
        place = int(byte[1])
        around = content[max(0, place - 60) : place + 20].decode(errors='replace')
        start = content.rfind(b'"name"', 0, place)
        name = re.match(rb'"name"\s*:\s*"([^"]*)"', content[start : start + 1000]) if start >= 0 else None
        near = f', in or after frame {name[1].decode(errors="replace")!r}' if name else ''
        hint = '. NaN and Infinity are no numbers in JSON' if re.search('NaN|Inf', around) else ''
        if 'trailing characters' in message:
            hint = '. A file is one JSON value: frames that stand one below the other need [ , ] around them'
        return f'{near}, near {around!r}{hint}'
    return ''


def det_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """The classes that a data set or a model says it has, by BDD100K's names of today.

    Args:
        classes: One name or several, in any order; other spellings (``NAME_MAPPING``) are renamed.

    Raises:
        ValueError: No class, one that BDD100K lacks, or one that stands twice.
    """
    given = [classes] if isinstance(classes, str) else list(classes)
    named = tuple(NAME_MAPPING.get(name, name) for name in given)
    unknown = [name for name in named if name not in DET_CLASSES]
    if unknown or not named or len(set(named)) < len(named):
        what = f'{unknown} are none of them' if unknown else 'one stands twice' if named else 'there is none'
        raise ValueError(
            f'classes {given}: {what}; the detection classes of BDD100K are {", ".join(DET_CLASSES)}'
        )
    return named


def duplicate_names(frames: Iterable[Frame]) -> list[str]:
    """Names that more than one frame carries, in order of their second appearance."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for frame in frames:
        if frame.name in seen:
            repeated[frame.name] = None
        seen.add(frame.name)
    return list(repeated)
