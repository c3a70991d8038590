"""What the segmentation scores read: folders of PNG masks, and Scalabel files with run-length codes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from ...files.label_maps import read_label_map
from ...files.png import open_image
from ...files.rle import areas, checked_rle
from ..polygons import polygon_rle
from ..scalabel import LabelFileError, decode_frames, is_true, json_files
from .result import told

#: The value of a mask where no class is known.
UNLABELED = 255


class _RLE(msgspec.Struct, gc=False):
    counts: str | list[int]
    size: list[int]


class _Attributes(msgspec.Struct, gc=False):
    crowd: Any = None
    ignored: Any = None


class _Label(msgspec.Struct, gc=False):
    category: str | None = None
    rle: _RLE | None = None
    poly2d: Any = None
    score: float | None = None
    attributes: _Attributes | None = None


class _Frame(msgspec.Struct, gc=False):
    name: str
    videoName: str | None = None  # noqa: N815 (the format's name)
    labels: list[_Label] | None = None


@dataclass(slots=True)
class MaskLabel:
    """A mask of a frame."""

    category: str
    rle: dict  #: in the form of pycocotools, checked
    score: float | None
    ignored: bool  #: crowd or tagged as ignored


@dataclass(slots=True)
class MaskFrame:
    """The masks of an image, all of one size."""

    name: str
    video: str | None = None
    labels: list[MaskLabel] = field(default_factory=list)
    file: Path | None = None  #: where it was read

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the masks, None without any."""
        return tuple(self.labels[0].rle['size']) if self.labels else None


def visible_files(folder: Path, suffix: str = '') -> list[Path]:
    """Files below a folder in sorted order, without those whose name, or a folder's, begins with a dot."""
    found = sorted(folder.rglob(f'*{suffix}'), key=str)
    return [
        p for p in found if p.is_file() and not any(x.startswith('.') for x in p.relative_to(folder).parts)
    ]


def are_bitmasks(gt: str | Path, result: str | Path) -> bool:
    """Whether the predictions are a folder of PNG masks (True) or JSON (False).

    Raises:
        LabelFileError: Neither, or the ground truth is of the other kind.
    """
    kinds = []
    for path in (Path(gt), Path(result)):
        if not path.exists():
            raise LabelFileError(f'{path}: no such file or folder')
        files = visible_files(path) if path.is_dir() else [path]
        found = {p.suffix for p in files}
        if path == Path(result) and len(found) > 1:
            raise LabelFileError(
                f'{path}: holds {", ".join(sorted(found))}; expected only .png or only .json'
            )
        kind = next((k for k in ('.png', '.json') if k in found), None)
        if kind is None or (kind == '.png' and not path.is_dir()):
            raise LabelFileError(
                f'{path}: expected a folder of .png masks, or a .json file or a folder of them'
            )
        kinds.append(kind)
    if kinds[0] != kinds[1]:
        raise LabelFileError(
            f'{gt} holds {kinds[0]} files but {result} holds {kinds[1]} files: give two of a kind'
        )
    return kinds[1] == '.png'


def pair_files(gt: str | Path, result: str | Path) -> list[tuple[Path, Path | None]]:
    """Ground-truth masks in sorted order, each with its prediction (None: there is none).

    That is the file of the same path below the folder, else the one of the same name.

    Raises:
        LabelFileError: Several files of one name, of which none has the path.
    """
    true, predicted = visible_files(Path(gt), '.png'), visible_files(Path(result), '.png')
    rows = pair_names([stem(p, gt) for p in true], [stem(p, result) for p in predicted], gt, result)
    left = set(range(len(predicted))) - set(rows)
    told(
        [p.name for p, row in zip(true, rows) if row < 0], 'images have no predicted mask and count as missed'
    )
    told([predicted[i].name for i in sorted(left)], 'predicted masks are of no image of the ground truth')
    return [(p, None if row < 0 else predicted[row]) for p, row in zip(true, rows)]


def stem(path: Path, folder: str | Path) -> str:
    """Its path below a folder, without suffix."""
    return path.relative_to(folder).with_suffix('').as_posix()


def pair_names(wanted: Sequence[str], found: Sequence[str], gt: str | Path, result: str | Path) -> list[int]:
    """The place in ``found`` of every wanted path without suffix: the same path, else the same last part.

    Args:
        gt, result: What both belong to, for messages.

    Returns:
        Places; -1 where there is none.

    Raises:
        LabelFileError: The last part is in several, and so it does not say which.
    """
    place = {name: i for i, name in enumerate(found)}
    rows = [place.get(name, -1) for name in wanted]
    taken = set(rows)
    alike: list[dict[str, list[str]]] = [{}, {}]  # by their last part
    for names, table in zip((wanted, found), alike):
        for name in names:
            table.setdefault(name.rpartition('/')[2], []).append(name)
    for i, name in enumerate(wanted):
        last = name.rpartition('/')[2]
        others = alike[1].get(last, [])
        if rows[i] >= 0 or all(place[other] in taken for other in others):
            continue
        for names, where in ((others, result), (alike[0][last], gt)):
            if len(names) > 1:
                raise LabelFileError(
                    f'{where}: {names[0]} and {names[1]} share the name {last!r}, so that it does not say which '
                    f'prediction of {result} belongs to {name!r} of {gt}: give both the same folders'
                )
        rows[i] = place[others[0]]
    return rows


def read_png(path: Path, channels: int) -> np.ndarray:
    """Class ids (H, W) or, with four channels, a bitmask (H, W, 4), uint8.

    Raises:
        LabelFileError: Not a picture, or one with other channels or values.
    """
    try:
        if channels == 1:
            pixels = read_label_map(path)
            if pixels.dtype != np.uint8:
                raise ValueError(f'{path}: pixel values up to {pixels.max()}; class ids have 8 bits')
            return pixels
        with open_image(path) as image:
            pixels, mode = np.asarray(image), image.mode
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        where = '' if str(path) in str(error) else f'{path}: cannot be read as PNG: '
        raise LabelFileError(f'{where}{error}') from error
    if mode != 'RGBA':
        raise LabelFileError(
            f'{path}: a mask of shape {pixels.shape}, mode {mode}; expected RGBA (category, attributes, id >> 8, '
            'id & 255)'
        )
    return pixels


def read_pair(gt: Path, pred: Path | None, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Both masks; they have one size. Where there is no prediction, it is of no class."""
    true = read_png(gt, channels)
    if pred is None:
        return true, np.full_like(true, UNLABELED if channels == 1 else 0)
    pair = true, read_png(pred, channels)
    if pair[0].shape != pair[1].shape:
        raise LabelFileError(
            f'{pred}: {pair[1].shape[:2]} (height, width); its ground truth has {pair[0].shape[:2]}'
        )
    return pair


def in_threads(function: Callable, items: Sequence, nproc: int) -> Iterable:
    """``function`` of every item in order; decoding PNG leaves Python's lock."""
    with ThreadPoolExecutor(nproc if nproc > 0 else min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(function, items)


def read_frames(
    path: str | Path,
    classes: Sequence[str],
    renamed: Mapping[str, str] | None = None,
    ignored: Mapping[str, str] | None = None,
    size_of: Callable[[str], tuple[int, int]] | None = None,
) -> list[MaskFrame]:
    """Frames with only the labels that have a mask and a class.

    Args:
        size_of: (height, width) of the image of a name: polygons are then taken for labels without codes (to learn
            from: they are no masks to score by).
        renamed: Old names of classes.
        ignored: Categories that count as ignored regions of a class; if given, a category outside
            ``classes`` and of neither table is an error, else its labels are left out.

    Raises:
        LabelFileError: Naming file, frame and label.
    """
    frames = []
    for file in json_files(path):
        for found in decode_frames(file.read_bytes(), file, _Frame):
            frame = MaskFrame(found.name, found.videoName, file=file)
            for i, label in enumerate(found.labels or ()):
                place = f'{file}: frame {found.name!r}: labels[{i}]'
                size = size_of and partial(size_of, found.name)
                mask = _mask(label, classes, renamed or {}, ignored, place, size)
                if mask is not None:
                    frame.labels.append(mask)
            sizes = {tuple(label.rle['size']) for label in frame.labels}
            if len(sizes) > 1:
                raise LabelFileError(f'{file}: frame {frame.name!r}: masks of several sizes: {sorted(sizes)}')
            frames.append(frame)
    return frames


def _mask(label: _Label, classes, renamed, ignored, place: str, size=None) -> MaskLabel | None:
    if label.rle is None and label.poly2d is None:
        return None
    category, attributes = renamed.get(label.category, label.category), label.attributes or _Attributes()
    marks = [_is_true(attributes, key, place) for key in ('crowd', 'ignored')]
    if category not in classes:
        if ignored is None:
            return None
        if category not in ignored:
            raise LabelFileError(
                f'{place}.category is {category!r}; expected one of {", ".join([*classes, *ignored])}'
            )
        category = ignored[category]
        marks.append(True)
    if label.rle is None and size is None:
        raise LabelFileError(
            f'{place} has a poly2d and no rle. Give run-length codes (the rles/ folder of the labels) or bitmasks.'
        )
    try:
        if label.rle is None:
            rle = polygon_rle(label.poly2d, *size())
        else:
            rle = checked_rle(label.rle.counts, label.rle.size)
    except ValueError as error:
        raise LabelFileError(f'{place}.{"rle" if label.rle else "poly2d"}: {error}') from None
    return MaskLabel(category, rle, label.score, any(marks))


def _is_true(attributes: _Attributes, key: str, place: str) -> bool:
    try:
        return is_true(getattr(attributes, key))
    except ValueError as error:
        raise LabelFileError(f'{place}.attributes.{key} is {error}') from None


def pair_frames(gt: Sequence[MaskFrame], pred: Sequence[MaskFrame]) -> list[tuple[MaskFrame, MaskFrame]]:
    """Every frame of the ground truth with its prediction, an empty frame where there is none.

    Frames are matched by name, or by video and name where predicted names repeat and all have a video;
    of predictions that still share a name the last counts. Warns of what is left out or repeated.
    """
    if not gt:
        raise LabelFileError('the ground truth has no frames')
    by_video = len({f.name for f in pred}) < len(pred) and all(f.video for f in (*gt, *pred))

    def key(frame: MaskFrame) -> tuple:
        return (frame.video if by_video else None, frame.name)

    last = {key(frame): frame for frame in pred}
    told(_repeated(gt, key), 'names are carried by several frames of the ground truth, each of which counts')
    told(_repeated(pred, key), 'names are carried by several predicted frames: the last of each counts')
    told([f.name for f in gt if key(f) not in last], 'images have no predicted frame and count as missed')
    true = {key(frame) for frame in gt}
    told([f.name for f in pred if key(f) not in true], 'predicted frames are of no image of the ground truth')
    pairs = [(frame, last.get(key(frame), MaskFrame(frame.name))) for frame in gt]
    for frame, predicted in pairs:
        if frame.labels and predicted.labels and frame.size != predicted.size:
            raise LabelFileError(
                f'{predicted.file}: frame {frame.name!r}: the predicted masks are {predicted.size} (height, width), '
                f'the true ones {frame.size}'
            )
    return pairs


def _repeated(frames: Sequence[MaskFrame], key: Callable) -> list[str]:
    """Names that several frames carry, each with the first two files that hold it."""
    first: dict[tuple, MaskFrame] = {}
    names: dict[tuple, str] = {}
    for frame in frames:
        other = first.setdefault(key(frame), frame)
        if other is not frame:
            names.setdefault(key(frame), f'{frame.name} ({other.file}, {frame.file})')
    return list(names.values())


def told_categories(categories: np.ndarray, num_classes: int) -> None:
    """Warn of categories of bitmasks that are no class; the official tool leaves them out too."""
    unknown = [str(k) for k in categories.tolist() if not 1 <= k <= num_classes]
    told(
        unknown, f'categories of bitmasks (the first channel) are none of 1 to {num_classes} and are left out'
    )


def without_overlaps(pairs: Sequence[tuple[MaskFrame, MaskFrame]]) -> list[str]:
    """Empty the predicted frames in which masks overlap, as the official tool does; their names."""
    names = []
    for _, pred in pairs:
        masks = [label.rle for label in pred.labels]
        if len(masks) > 1 and areas(masks).sum() != coco_mask.area(coco_mask.merge(masks)):
            pred.labels = []
            names.append(pred.name)
    return names


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct pixel values of two bitmasks (H, W, 4) as uint32, ascending, and the (A, B) pixels they share.

    Masks are mostly flat: only where one of them changes along a row is looked at.
    """
    a, b = (np.ascontiguousarray(x).view('<u4').ravel() for x in (a, b))
    start = np.flatnonzero(np.concatenate([[True], (a[1:] != a[:-1]) | (b[1:] != b[:-1])]))
    a_values, a_index = np.unique(a[start], return_inverse=True)
    b_values, b_index = np.unique(b[start], return_inverse=True)
    shape = len(a_values), len(b_values)
    pairs = a_index * shape[1] + b_index
    counts = np.bincount(pairs, np.diff(start, append=a.size), minlength=shape[0] * shape[1])
    return a_values, b_values, counts.reshape(shape)


def segments(values: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Instances among the values of a bitmask in ascending order of their ids (0 is background).

    Returns:
        Their rows in ``values``, ids, categories and attributes (bit 0 ignored, bit 1 crowd).

    Raises:
        LabelFileError: An instance with two categories or attributes.
    """
    values = values.astype(np.int64)
    ids = (values >> 16 & 255) << 8 | values >> 24
    rows = np.argsort(ids, kind='stable')[np.count_nonzero(ids == 0) :]
    repeated = np.flatnonzero(np.diff(ids[rows]) == 0)
    if len(repeated):
        raise LabelFileError(
            f'{path}: instance {ids[rows][repeated[0]]} has pixels of several categories or attributes; '
            'the first two channels must be the same in all pixels of an instance (id = third << 8 | fourth)'
        )
    return rows, ids[rows], values[rows] & 255, values[rows] >> 8 & 255
