"""Scalabel files as numpy columns: all boxes of a file in a few arrays, read in bounded memory.

The dataset's index and the evaluators read through here. A file is cut into slices of whole frames
that msgspec decodes one after another, so that a file of gigabytes needs megabytes. A cut is only
kept if the slice decodes: a cut at the wrong place leaves brackets open, which is an error.
"""

from __future__ import annotations

import codecs
import gc
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from .categories import BDD100K, IGNORED, Categories, unknown
from .coco import is_coco, read_coco
from .scalabel import (
    DET_CLASSES,
    Corners,
    LabelFileError,
    decode_frames,
    decode_list,
    is_true,
    json_files,
    naming,
)

#: Frame attributes that data can be selected and scores split by.
FRAME_ATTRIBUTES = ('weather', 'scene', 'timeofday')
#: Attributes of boxes that scores can be split by.
BOX_ATTRIBUTES = ('occluded', 'truncated')
#: Bytes of JSON decoded at a time.
SLICE = 8 << 20

_NAN = float('nan')


class _Attributes(msgspec.Struct, gc=False):
    crowd: Any = None
    ignored: Any = None
    occluded: Any = None
    truncated: Any = None


class _Label(msgspec.Struct, gc=False):
    category: str | None = None
    box2d: Corners = None
    bbox: Any = None
    score: float | None = None
    attributes: _Attributes | None = None


class _FrameAttributes(msgspec.Struct, gc=False):
    weather: Any = None
    scene: Any = None
    timeofday: Any = None


class _Frame(msgspec.Struct, gc=False):
    name: str
    videoName: str | None = None  # noqa: N815 (the format's name)
    labels: list[_Label] | None = None
    attributes: _FrameAttributes | None = None


#: Where a frame may begin: its first key, or its attributes (keys may be sorted).
_NEXT_FRAME = re.compile(
    rb'\}\s*,\s*(?=\{\s*"(?:(?:name|labels|videoName|url|bbox)"\s*:'
    rb'|attributes"\s*:\s*\{\s*"(?:scene|timeofday|weather)"))'
)
#: What a cut at a wrong place, or a broken file, ends in; the whole file is then decoded and the place told.
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError, MemoryError)
_BEFORE_FRAMES = re.compile(rb'\s*\{[^\[\]{}]*"frames"\s*:\s*\[')


@dataclass
class Columns:
    """The boxes of m frames, n in all; frames keep the order of the files.

    Labels without a ``box2d`` (lanes, areas, masks) are not among them.
    """

    names: Sequence[str]  #: (m,) the image's file name
    videos: Sequence[str | None]  #: (m,) ``videoName``
    has_labels: np.ndarray  #: (m,) bool, False where ``labels`` is missing, null or empty
    attributes: dict[str, np.ndarray]  #: (m,) int32 codes into ``attribute_values`` of each frame attribute
    attribute_values: dict[str, list[str]]
    frame: np.ndarray  #: (n,) int32 row in ``names``, ascending
    category: np.ndarray  #: (n,) int16 row in ``classes``
    xyxy: np.ndarray  #: (n, 4) float64 as in the file: x2 and y2 are inclusive
    score: np.ndarray  #: (n,) float64, NaN where there is none
    ignored: np.ndarray  #: (n,) bool, category or attribute says to ignore
    crowd: np.ndarray  #: (n,) bool
    source: str = ''  #: where they were read, for messages
    unboxed: int = 0  #: labels without a box2d, which are not among the n
    files: Sequence[str] = ()  #: (k,) names of the files of a folder; empty where ``source`` is a file
    file_rows: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  #: (k,) row of its first frame
    classes: tuple[str, ...] = DET_CLASSES  #: names of the categories
    image_ids: np.ndarray | None = None  #: (m,) int64 ids of the images in a COCO file; else 1, 2, ...
    category_ids: Sequence[int] | None = None  #: of ``classes`` in a COCO file; else 1, 2, ...
    area: np.ndarray | None = None  #: (n,) ``area`` of a COCO file, pixels; None: width times height
    #: (n,) int8 of `BOX_ATTRIBUTES`: 1 for true, 0 for false, -1 where the file does not say; empty if not read.
    box_attributes: dict[str, np.ndarray] = field(default_factory=dict)

    #: (n,) int8 of `BOX_ATTRIBUTES`: 1 for true, 0 for false, -1 where the file does not say; empty if not read.
    box_attributes: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image_ids is None:
            self.image_ids = np.arange(1, len(self.names) + 1)
        if self.category_ids is None:
            self.category_ids = tuple(range(1, len(self.classes) + 1))

    def __len__(self) -> int:
        return len(self.frame)

    def of_classes(self, classes: Sequence[str]) -> Columns:
        """The same frames with the boxes of these classes alone, whose rows ``category`` then has."""
        rows = np.array([classes.index(name) if name in classes else -1 for name in self.classes], np.int16)
        category = rows[self.category]
        ids = dict(zip(self.classes, self.category_ids))
        spare = max(self.category_ids, default=0)
        for name in classes:
            if name not in ids:
                ids[name] = spare = spare + 1
        keep = category >= 0
        return replace(
            self,
            **{key: getattr(self, key)[keep] for key in ('frame', 'xyxy', 'score', 'ignored', 'crowd')},
            area=None if self.area is None else self.area[keep],
            box_attributes={key: values[keep] for key, values in self.box_attributes.items()},
            category=category[keep],
            classes=tuple(classes),
            category_ids=tuple(ids[name] for name in classes),
        )

    @property
    def xywh(self) -> np.ndarray:
        """(n, 4) x, y, width, height in pixels by the COCO convention: width = x2 - x1 + 1."""
        boxes = self.xyxy.copy()
        boxes[:, 2:] += 1 - boxes[:, :2]
        return boxes

    def place(self, row: int) -> str:
        """The file that a frame was read from."""
        if not len(self.files):
            return self.source
        return str(Path(self.source) / self.files[np.searchsorted(self.file_rows, row, 'right') - 1])

    def duplicates(self) -> list[str]:
        """Names that more than one frame carries."""
        names, counts = np.unique(np.array(self.names, dtype=object), return_counts=True)
        return names[counts > 1].tolist()

    def repeated(self) -> str:
        """A sentence on names that more than one frame carries, with the files of the first; empty if there
        are none."""
        names = self.duplicates()
        if not names:
            return ''
        rows = [row for row, name in enumerate(self.names) if name == names[0]]
        places = list(dict.fromkeys(map(self.place, rows)))
        where = f'in {places[0]} and {places[1]}' if len(places) > 1 else f'{len(rows)} times in {places[0]}'
        return f'{len(names)} names are carried by several frames; the first is {names[0]!r}, {where}'

    def check_boxes(self) -> None:
        """Raise LabelFileError if the labels are another task's, and at the first box that is not
        finite or has no positive size."""
        if self.unboxed and not len(self):
            raise LabelFileError(
                f'{self.source}: none of its {self.unboxed} labels has a box2d: this is the label file of '
                'another task. Detection labels are det_20/det_train.json and det_val.json.'
            )
        if np.isfinite(self.xyxy.sum()):
            x1, y1, x2, y2 = self.xyxy.T
            bad = (x2 - x1 + 1 <= 0) | (y2 - y1 + 1 <= 0)
            what = 'is inverted (x2 < x1 or y2 < y1)'
        else:
            bad = ~np.isfinite(self.xyxy).all(1)
            what = 'is not finite'
        if bad.any():
            i = int(bad.argmax())
            x1, y1, x2, y2 = self.xyxy[i].tolist()
            row = self.frame[i]
            raise LabelFileError(
                f'{self.place(row)}: frame {self.names[row]!r}: box2d of a {self.classes[self.category[i]]} '
                f'{what}: x1={x1} y1={y1} x2={x2} y2={y2} ({int(bad.sum())} such boxes in all). Correct the file.'
            )


@dataclass
class Builder:
    """Gathers the frames of files, slice by slice."""

    frame_type: ClassVar[type] = _Frame
    kind: ClassVar[type[Columns]] = Columns
    categories: Categories = BDD100K
    codes: dict[Any, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    videos: list[str | None] = field(default_factory=list)
    has_labels: list[np.ndarray] = field(default_factory=list)
    attributes: dict[str, list[np.ndarray]] = field(default_factory=lambda: {k: [] for k in FRAME_ATTRIBUTES})
    values: dict[str, dict[str, int]] = field(default_factory=lambda: {k: {} for k in FRAME_ATTRIBUTES})
    boxes: dict[str, list[np.ndarray]] = field(
        default_factory=lambda: {
            k: [] for k in ('frame', 'category', 'xyxy', 'score', 'ignored', 'crowd', *BOX_ATTRIBUTES)
        }
    )
    unboxed: int = 0
    files: list[str] = field(default_factory=list)
    file_rows: list[int] = field(default_factory=list)
    flat: dict[tuple[str | None, str], int] = field(default_factory=dict)  #: rows of a flat list's images

    def begin(self, path: Path) -> None:
        self.files.append(path.name)
        self.file_rows.append(len(self.names))
        self.flat = {}

    def add(self, frames: list[_Frame], path: Path) -> None:
        rows, new = self._rows(frames)
        self.names += [f.name for f in new]
        self.videos += [f.videoName for f in new]
        self.has_labels.append(np.array([bool(f.labels) for f in new], bool))
        for key in FRAME_ATTRIBUTES:
            table = self.values[key]
            read = (None if f.attributes is None else getattr(f.attributes, key) for f in new)
            codes = [table.setdefault('' if v is None else str(v), len(table)) for v in read]
            self.attributes[key].append(np.array(codes, np.int32))
        labels = list(chain.from_iterable(f.labels for f in frames if f.labels))
        counts = np.array([len(f.labels) if f.labels else 0 for f in frames], np.int64)
        frame = np.repeat(rows, counts)
        boxed = [label.box2d is not None for label in labels]
        if not all(boxed):
            if any(label.bbox is not None for label in labels):
                raise _bad_label(frames, path, self.codes)
            self.unboxed += boxed.count(False)
            labels, frame = list(compress(labels, boxed)), frame[boxed]
        try:
            codes = np.array([self.codes[label.category] for label in labels], np.int16)
        except KeyError:
            raise _bad_label(frames, path, self.codes) from None
        boxes = self.boxes
        boxes['frame'].append(frame)
        ignored = codes >= IGNORED
        boxes['category'].append(np.where(ignored, codes - IGNORED, codes).astype(np.int16))
        corners = [label.box2d for label in labels]
        try:
            sides = chain.from_iterable(map(msgspec.structs.astuple, corners))
            xyxy = np.fromiter(sides, float, 4 * len(labels))
        except TypeError:  # some are lists in the file
            xyxy = np.array([c if type(c) is tuple else msgspec.structs.astuple(c) for c in corners], float)
        boxes['xyxy'].append(xyxy.reshape(-1, 4))
        scores = (_NAN if label.score is None else label.score for label in labels)
        boxes['score'].append(np.fromiter(scores, float, len(labels)))
        crowd = np.zeros(len(labels), bool)
        try:
            for i, label in enumerate(labels):
                marks = label.attributes
                if marks is None:
                    continue
                if marks.crowd is not None and is_true(marks.crowd):
                    crowd[i] = True
                if marks.ignored is not None and is_true(marks.ignored):
                    ignored[i] = True
        except ValueError:
            raise _bad_label(frames, path, self.codes) from None
        boxes['crowd'].append(crowd)
        boxes['ignored'].append(ignored)
        for key in BOX_ATTRIBUTES:
            said = (x.attributes and getattr(x.attributes, key) for x in labels)
            boxes[key].append(np.fromiter(map(_truth, said), np.int8, len(labels)))

    def _rows(self, frames: list[_Frame]) -> tuple[np.ndarray, list[_Frame]]:
        """The row of each frame, and the frames that begin one: a flat list may come back to an image."""
        start, new, rows = len(self.names), [], []
        if all(frame.category is None for frame in frames):
            return np.arange(start, start + len(frames), dtype=np.int32), frames
        for frame in frames:
            key = frame.videoName, frame.name
            row = start + len(new)
            if frame.category is not None:
                row = self.flat.setdefault(key, row)
            if row == start + len(new):
                new.append(frame)
            rows.append(row)
        return np.array(rows, np.int32), new

    def columns(self, source: Path) -> Columns:
        return self.kind(**self.fields(source))

    def fields(self, source: Path) -> dict[str, Any]:
        """What ``Columns`` is made of."""
        arrays = {key: np.concatenate(parts) for key, parts in self.boxes.items()}
        has_labels = np.concatenate(self.has_labels)
        if (np.diff(arrays['frame']) < 0).any():
            order = np.argsort(arrays['frame'], kind='stable')
            arrays = {key: array[order] for key, array in arrays.items()}
        folder = source.is_dir()
        classes, arrays['category'] = self.categories.sorted(self.codes, arrays['category'])
        marks = {key: arrays.pop(key) for key in BOX_ATTRIBUTES}
        return dict(
            classes=classes,
            names=self.names,
            videos=self.videos,
            has_labels=has_labels,
            files=self.files if folder else (),
            file_rows=np.array(self.file_rows if folder else (), np.int32),
            attributes={k: np.concatenate(v) for k, v in self.attributes.items()},
            attribute_values={k: list(v) for k, v in self.values.items()},
            source=str(source),
            unboxed=self.unboxed,
            box_attributes=marks,
            **arrays,
        )


def _truth(value: Any) -> int:
    """1 and 0 for true and false; -1 for what is neither."""
    if type(value) is bool:
        return int(value)
    if value is None or value == '':
        return -1
    try:
        return int(is_true(value))
    except ValueError:
        return -1


def _bad_label(frames: list[_Frame], path: Path, codes: dict[Any, int]) -> LabelFileError:
    """The error of the first label that cannot be used."""
    for frame in frames:
        for i, label in enumerate(frame.labels or ()):
            place = f'{path}: frame {frame.name!r}: labels[{i}]'
            if label.box2d is None:
                if label.bbox is not None:
                    return LabelFileError(
                        f'{place} has a "bbox" and no "box2d"; write box2d = {{x1, y1, x2, y2}} in pixels, where x2 '
                        'and y2 are inclusive'
                    )
                continue
            if label.category not in codes:
                return LabelFileError(f'{place}.category is {unknown(label.category, codes)}')
            for key in ('crowd', 'ignored'):
                try:
                    is_true(getattr(label.attributes, key, None))
                except ValueError as error:
                    return LabelFileError(f'{place}.attributes.{key} is {error}')
    raise AssertionError('every label can be used')


def read_columns(
    path: str | Path,
    categories: Categories = BDD100K,
    *,
    progress: Callable[[int, int], None] | None = None,
    builder: type[Builder] | None = None,
) -> Columns:
    """Read a Scalabel file, the label files of a folder (``scalabel.json_files``), or a COCO file.

    A file holds a bare list of frames, ``{"frames": [...]}`` or one frame; older layouts (``layouts``) too; or
    COCO's ``images``, ``annotations`` and ``categories``.

    Args:
        path: The file or folder.
        categories: What the categories of the file may be.
        progress: Called with bytes done and bytes in all.
        builder: What gathers the frames, where more than boxes is read of them (``mmroad.bdd100k.track_columns``).

    Raises:
        LabelFileError: Nothing to read, a file that is not Scalabel, an unknown category, or a ``crowd`` or
            ``ignored`` that is no truth value; the message names the file and the place.
    """
    path, files = Path(path), json_files(path)
    total, done = sum(f.stat().st_size for f in files), 0
    builder = builder or Builder
    if builder is Builder and len(files) == 1 and is_coco(files[0]):
        return read_coco(files[0], categories)
    found = builder(categories, categories.codes())
    with no_gc():
        for file in files:
            found.begin(file)
            with naming(file):
                for frames, size in _slices(file, builder.frame_type):
                    found.add(frames, file)
                    done += size
                    if progress:
                        progress(done, total)
    return found.columns(path)


@contextmanager
def no_gc() -> Iterator[None]:
    """The decoded records hold no cycles, and tracking a million of them costs seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _slices(path: Path, frame_type: type) -> Iterator[tuple[list[_Frame], int]]:
    """Lists of frames of one file, with the bytes that each took."""
    size = path.stat().st_size
    if size <= SLICE:
        yield decode_frames(path.read_bytes(), path, frame_type), size
        return
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        start = data.find(b'[') + 1
        head = bytes(data[:start]).removeprefix(codecs.BOM_UTF8)
        if head.strip() != b'[' and not _BEFORE_FRAMES.fullmatch(head):
            yield decode_frames(bytes(data), path, frame_type), size
            return
        done = 0
        while True:
            frames, end = _next_slice(data, start, frame_type)
            if frames is None:
                break
            yield frames, end - done
            start = done = end
        try:
            frames = decode_frames(head + data[start:], path, frame_type)
        except LabelFileError:
            decode_frames(bytes(data), path, frame_type)  # fails at the place in the whole file
            raise
        yield frames, size - done


def _next_slice(data: mmap.mmap, start: int, frame_type: type) -> tuple[list[_Frame] | None, int]:
    """The frames from ``start`` to a cut some ``SLICE`` bytes on, or None near the end."""
    place = start + SLICE
    for _ in range(64):  # a candidate may lie inside a label; one of the next is a frame's
        match = _NEXT_FRAME.search(data, place)
        if match is None:
            return None, start
        try:
            return _decode_between(data, start - 1, match.start() + 1, frame_type), match.end()
        except msgspec.ValidationError:
            return None, start
        except _UNREADABLE:
            place = match.end()
    return None, start


def _decode_between(data: mmap.mmap, first: int, last: int, frame_type: type) -> list[_Frame]:
    """Decode without copying: the separators around the frames stand in as brackets for a moment."""
    separators = data[first], data[last]
    data[first], data[last] = b'[]'
    try:
        with memoryview(data) as view, view[first : last + 1] as part:
            return decode_list(part, frame_type)
    finally:
        data[first], data[last] = separators
