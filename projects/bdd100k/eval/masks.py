"""What the segmentation scores read: folders of PNG masks, and Scalabel files with run-length codes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ..scalabel import LabelFileError, decode_frames


class RLE(msgspec.Struct, gc=False):
    """COCO's compressed run-length code of a mask; ``size`` is height, width."""

    counts: str
    size: tuple[int, int]


class _Attributes(msgspec.Struct, gc=False):
    crowd: Any = None
    ignored: Any = None


class MaskLabel(msgspec.Struct, gc=False):
    category: str | None = None
    rle: RLE | None = None
    poly2d: Any = None
    score: float | None = None
    attributes: _Attributes | None = None

    @property
    def ignored(self) -> bool:
        """Crowd or tagged as ignored."""
        return self.attributes is not None and bool(self.attributes.crowd or self.attributes.ignored)


class MaskFrame(msgspec.Struct, gc=False):
    name: str
    videoName: str | None = None  # noqa: N815 (the format's name)
    labels: list[MaskLabel] | None = None


def are_bitmasks(gt: str | Path, result: str | Path) -> bool:
    """Whether the predictions are a folder of PNG masks (True) or JSON (False).

    Raises:
        LabelFileError: Neither, or the ground truth is of the other kind.
    """
    kinds = []
    for path in (Path(gt), Path(result)):
        if not path.exists():
            raise LabelFileError(f'{path}: no such file or folder')
        files = [p for p in path.rglob('*') if p.is_file()] if path.is_dir() else [path]
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
    """Ground-truth masks in sorted order with the prediction of the same file name (None: there is none)."""
    found = {p.stem: p for p in sorted(Path(result).rglob('*.png'), key=str)}
    return [(p, found.get(p.stem)) for p in sorted(Path(gt).rglob('*.png'), key=str)]


def read_png(path: Path, channels: int) -> np.ndarray:
    """Pixels (H, W) or, with four channels, (H, W, 4), uint8.

    Raises:
        LabelFileError: Not a picture, or one with other channels.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image, dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise LabelFileError(f'{path}: cannot be read as PNG: {error}') from error
    if (pixels.shape[2] if pixels.ndim == 3 else 1) != channels:
        what = (
            'RGBA (category, attributes, id >> 8, id & 255)' if channels == 4 else 'one channel of class ids'
        )
        raise LabelFileError(f'{path}: a mask of shape {pixels.shape}, mode {image.mode}; expected {what}')
    return pixels


def read_pair(gt: Path, pred: Path, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Both masks; they have one size."""
    pair = read_png(gt, channels), read_png(pred, channels)
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
) -> list[MaskFrame]:
    """Frames with only the labels that have a mask and a class.

    Args:
        renamed: Old names of classes.
        ignored: Categories that count as ignored regions of a class; if given, a category outside
            ``classes`` and of neither table is an error, else its labels are left out.

    Raises:
        LabelFileError: Naming file, frame and label.
    """
    path = Path(path)
    frames = []
    for file in sorted(path.rglob('*.json')) if path.is_dir() else [path]:
        for frame in decode_frames(file.read_bytes(), file, MaskFrame):
            frame.labels = [
                label
                for i, label in enumerate(frame.labels or ())
                if _usable(
                    label, classes, renamed or {}, ignored, f'{file}: frame {frame.name!r}: labels[{i}]'
                )
            ]
            sizes = {label.rle.size for label in frame.labels}
            if len(sizes) > 1:
                raise LabelFileError(f'{file}: frame {frame.name!r}: masks of several sizes: {sorted(sizes)}')
            frames.append(frame)
    return frames


def _usable(label: MaskLabel, classes, renamed, ignored, place: str) -> bool:
    if label.rle is None and label.poly2d is None:
        return False
    label.category = renamed.get(label.category, label.category)
    if label.category not in classes:
        if ignored is None:
            return False
        if label.category not in ignored:
            raise LabelFileError(
                f'{place}.category is {label.category!r}; expected one of {", ".join([*classes, *ignored])}'
            )
        label.category = ignored[label.category]
        label.attributes = _Attributes(ignored=True)
    if label.rle is None:
        raise LabelFileError(
            f'{place} has a poly2d and no rle. Give run-length codes (the rles/ folder of the labels) or bitmasks.'
        )
    return True


def pair_frames(gt: Sequence[MaskFrame], pred: Sequence[MaskFrame]) -> list[tuple[MaskFrame, MaskFrame]]:
    """Every frame of the ground truth with its prediction, an empty frame where there is none.

    Frames are matched by name, or by video and name where predicted names repeat and all have a video;
    of predictions that still share a name the last counts.
    """
    if not gt:
        raise LabelFileError('the ground truth has no frames')
    by_video = len({f.name for f in pred}) < len(pred) and all(f.videoName for f in (*gt, *pred))

    def key(frame: MaskFrame) -> tuple:
        return (frame.videoName if by_video else None, frame.name)

    last = {key(frame): frame for frame in pred}
    pairs = [(frame, last.get(key(frame), MaskFrame(frame.name, labels=[]))) for frame in gt]
    for true, predicted in pairs:
        sizes = [f.labels[0].rle.size for f in (true, predicted) if f.labels]
        if len(set(sizes)) > 1:
            raise LabelFileError(
                f'frame {true.name!r}: the predicted masks are {sizes[1]} (height, width), the true ones {sizes[0]}'
            )
    return pairs


def rles(labels: Sequence[MaskLabel]) -> list[dict]:
    """Their masks in the form of pycocotools."""
    return [dict(counts=label.rle.counts, size=label.rle.size) for label in labels]


def without_overlaps(pairs: Sequence[tuple[MaskFrame, MaskFrame]]) -> list[str]:
    """Empty the predicted frames in which masks overlap, as the official tool does; their names."""
    names = []
    for _, pred in pairs:
        masks = rles(pred.labels)
        if len(masks) > 1 and coco_mask.area(masks).sum() != coco_mask.area(coco_mask.merge(masks)):
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
