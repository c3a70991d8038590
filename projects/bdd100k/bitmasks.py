"""Bitmasks, BDD100K's pictures of instances: RGBA, one instance a pixel.

Red is the category (from 1, 0 is background), green the attributes (``TRUNCATED`` and so on), blue and alpha the
instance's id (blue << 8 | alpha, 1 to 65535). An image loader that blends or drops alpha, or gives BGRA, destroys them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from .eval.masks import MaskFrame, MaskLabel, read_png, segments
from .scalabel import LabelFileError

#: Bits of the green channel.
IGNORED, CROWD, OCCLUDED, TRUNCATED = 1, 2, 4, 8
MAX_ID = 65535


@dataclass(slots=True)
class Segments:
    """The segments of an image."""

    categories: np.ndarray  #: (n,) from 1, in the order of the task's classes
    ignored: np.ndarray  #: (n,) bool, crowd or tagged as ignored
    masks: np.ndarray  #: (n, H, W) bool

    def boxes(self) -> np.ndarray:
        """(n, 4) float32 x1, y1, x2, y2 of the pixels, x2 and y2 exclusive."""
        boxes = np.zeros((len(self.masks), 4), np.float32)
        for axis, (first, last) in ((1, (0, 2)), (2, (1, 3))):
            there = self.masks.any(axis)
            boxes[:, first] = there.argmax(1)
            boxes[:, last] = there.shape[1] - there[:, ::-1].argmax(1)
        return boxes


def bitmask(segment: np.ndarray, categories: Sequence[int], ids: Sequence[int], attributes=0) -> np.ndarray:
    """A bitmask (H, W, 4) uint8.

    Args:
        segment: (H, W) integers, the segment of every pixel from 1; 0 is background.
        categories, ids, attributes: Of every segment; one number is that of all.

    Raises:
        ValueError: An id is not in 1 to 65535, or two segments have one.
    """
    ids = np.asarray(ids, np.int64)
    if len(ids) and (ids.min() < 1 or ids.max() > MAX_ID or len(np.unique(ids)) < len(ids)):
        raise ValueError(f'ids of a bitmask are 1 to {MAX_ID}, each once, not {sorted(ids.tolist())[:10]}')
    columns = np.zeros((len(ids) + 1, 4), np.uint8)
    columns[1:] = np.stack(
        np.broadcast_arrays(np.asarray(categories, np.int64), attributes, ids >> 8, ids & 255), -1
    )
    return columns[segment]


def read_segments(truth: str | Path | MaskFrame, classes: Sequence[str], size=None) -> Segments:
    """The segments of an image from its bitmask, or from its frame of run-length codes.

    Args:
        truth: The path of a bitmask, or a frame.
        classes: The task's.
        size: (height, width) of the image, which the masks must have.

    Raises:
        LabelFileError: No bitmask, an instance of several categories or attributes, a category that is no class, or
            another size; names the file, of a frame its name too.
    """
    if isinstance(truth, MaskFrame):
        where, shape = f'{truth.file}: frame {truth.name!r}', truth.size or size
        categories = [classes.index(label.category) + 1 for label in truth.labels]
        ignored = [label.ignored for label in truth.labels]
        masks = [coco_mask.decode(label.rle).astype(bool) for label in truth.labels]
    else:
        where, pixels = str(truth), np.ascontiguousarray(read_png(Path(truth), 4)).view('<u4')[..., 0]
        shape, flat = pixels.shape, pixels.ravel()
        values = np.unique(flat[np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))])
        rows, _, categories, attributes = segments(values, Path(truth))
        ignored = attributes & (IGNORED | CROWD) > 0
        masks = [pixels == value for value in values[rows]]
        unknown = sorted(set(categories.tolist()) - set(range(1, len(classes) + 1)))
        if unknown:
            raise LabelFileError(
                f'{where}: categories {unknown} (the first channel) are none of 1 to {len(classes)}. Is this the '
                'bitmask of another task, or a color map?'
            )
    if size is not None and tuple(shape) != tuple(size):
        raise LabelFileError(f'{where}: masks of {tuple(shape)}; its image has {tuple(size)} (height, width)')
    found = np.stack(masks) if len(masks) else np.zeros((0, *(shape or (0, 0))), bool)
    return Segments(np.asarray(categories, np.int64), np.asarray(ignored, bool), found)


def to_frame(name: str, masks: Sequence[np.ndarray], categories: Sequence[str], scores=None) -> MaskFrame:
    """A frame of run-length codes from masks (H, W)."""
    frame = MaskFrame(name)
    for i, (mask, category) in enumerate(zip(masks, categories, strict=True)):
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        frame.labels.append(MaskLabel(category, rle, None if scores is None else float(scores[i]), False))
    return frame


def frame_json(frame: MaskFrame, ids: Sequence[object]) -> dict:
    """A frame as Scalabel's JSON has it."""
    labels = []
    for number, label in zip(ids, frame.labels, strict=True):
        rle = dict(counts=label.rle['counts'].decode(), size=[int(side) for side in label.rle['size']])
        score = {} if label.score is None else dict(score=label.score)
        labels.append(dict(id=str(number), category=label.category, **score, rle=rle))
    return dict(name=frame.name, labels=labels)
