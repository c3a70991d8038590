"""Unknown objects one by one: instances of an anomaly map, and their average precision as OoDIS has it.

OoDIS (Nekrasov et al., arXiv 2406.11835; https://github.com/kumuji/anomaly-benchmark-suite) scores masks by Cityscapes'
instance AP over one class and boxes by COCO's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

#: Smallest instance that counts, in pixels.
SMALLEST = 10
#: IoU thresholds of the AP.
OVERLAPS = np.arange(0.5, 1.0, 0.05)
#: Ids of Cityscapes' labels that are left out, among the values of a ground truth image.
VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
#: The class of OoDIS' objects (Cityscapes' car): ``26nnn`` is an instance, 26 a group.
OBJECT = 26
#: Cityscapes' other classes with instances that its evaluation counts.
_OTHERS = (24, 25, 27, 28, 31, 32, 33)


class Instance(NamedTuple):
    """An object that was found."""

    mask: np.ndarray  #: (H, W) bool
    score: float  #: higher = surer

    def xyxy(self) -> tuple[int, int, int, int]:
        """Corners of its box in pixels, x2 and y2 exclusive."""
        rows, columns = ndimage.find_objects(self.mask.astype(np.uint8))[0]
        return columns.start, rows.start, columns.stop, rows.stop


def find_instances(
    values: np.ndarray,
    threshold: float,
    boxes: np.ndarray | None = None,
    smallest: int = SMALLEST,
    most: int = 100,
) -> list[Instance]:
    """Instances of an anomaly map, the surest first; no pixel is in two.

    Args:
        values: Anomaly map (H, W).
        threshold: Pixels of at least this value are unknown.
        boxes: (n, 4) corners x1, y1, x2, y2 in pixels, the surest first: the unknown pixels of a box that no
            box before it has are an instance. Without boxes an instance is an 8-connected component.
        smallest: Instances of fewer pixels are left out.
        most: The surest so many are kept.

    Returns:
        Instances, whose score is the mean of their pixels' values.
    """
    unknown = values >= threshold
    if boxes is None:
        parts, _ = ndimage.label(unknown, np.ones((3, 3), bool))
    else:
        parts = np.zeros(values.shape, np.int32)
        for number, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, float).reshape(-1, 4), 1):
            window = np.s_[max(round(y1), 0) : max(round(y2), 0), max(round(x1), 0) : max(round(x2), 0)]
            parts[window][unknown[window] & (parts[window] == 0)] = number
    sizes = np.bincount(parts.ravel())
    sums = np.bincount(parts.ravel(), np.ravel(values))
    numbers = 1 + np.flatnonzero(sizes[1:] >= max(smallest, 1))
    scores = sums[numbers] / sizes[numbers]
    best = np.argsort(-scores, kind='stable')[:most]
    return [Instance(parts == numbers[i], float(scores[i])) for i in best]


class Matched(NamedTuple):
    """One image's ground truth against its instances.

    Attributes:
        overlap: IoU (true, found) of true instances of at least ``SMALLEST`` pixels.
        touched: The highest IoU (found,) with a true instance of any size or a group.
        ignored: The share (found,) of pixels on void, groups and small true instances.
        scores: (found,).
    """

    overlap: np.ndarray
    touched: np.ndarray
    ignored: np.ndarray
    scores: np.ndarray


def match(truth: np.ndarray, found: Iterable[Instance]) -> Matched:
    """Compare instances with a ground truth image.

    Args:
        truth: (H, W) integers of Cityscapes' instance ids: 26nnn is an object, 26 a group of them, those of
            ``VOID`` are left out, others are background.
        found: Instances of the same size; empty ones are left out.

    Raises:
        ValueError: There are instances of another class, which OoDIS' data has not.
    """
    ids, numbers = np.unique(truth.astype(np.int64), return_inverse=True)
    numbers = numbers.reshape(truth.shape)
    if other := [int(i) for i in ids if i >= 1000 and i // 1000 in _OTHERS]:
        raise ValueError(
            f'instances of class {other[0] // 1000} in the ground truth ({other[0]}); the objects are {OBJECT}nnn'
        )
    of_object = np.where(ids >= 1000, ids // 1000, ids) == OBJECT
    sizes = np.bincount(numbers.ravel(), minlength=len(ids))
    whole = of_object & (ids >= 1000) & (sizes >= SMALLEST)
    # the official code adds a group that is small twice, once for each reason
    weight = np.isin(ids, VOID) + (of_object & (ids < 1000)) + (of_object & (sizes < SMALLEST)).astype(int)
    rows, scores = [], []
    for instance in found:
        if instance.mask.any():
            rows.append(np.bincount(numbers[instance.mask], minlength=len(ids)))
            scores.append(instance.score)
    shared = np.array(rows, np.int64).reshape(-1, len(ids))
    area = shared.sum(1, keepdims=True)
    iou = shared / (sizes + area - shared)
    return Matched(
        iou[:, whole].T,
        iou[:, of_object].max(1, initial=0),
        (shared * weight).sum(1) / area[:, 0],
        np.array(scores, float),
    )


def average_precision(images: Iterable[Matched]) -> dict[str, float]:
    """``AP`` over ``OVERLAPS`` and ``AP50``, 0 to 1, as Cityscapes' evaluation computes them.

    NaN without a true instance. Where all instances found are left out (the official code fails then) it is 0.
    """
    images = list(images)
    values = [_at(images, float(overlap)) for overlap in OVERLAPS]
    return dict(AP=float(np.mean(values)), AP50=values[0])


def _at(images: list[Matched], threshold: float) -> float:
    """AP at an IoU threshold, which a match must exceed."""
    true, scores, missed = [], [], 0
    for image in images:
        for row in image.overlap > threshold:
            matches = np.sort(image.scores[row])[::-1]
            missed += not len(matches)
            scores.append(matches)  # the surest is right, the others are false
            true.append(np.arange(len(matches)) == 0)
        false = (image.touched <= threshold) & (image.ignored <= threshold)
        scores.append(image.scores[false])
        true.append(np.zeros(int(false.sum()), bool))
    if not any(len(image.overlap) for image in images):
        return float('nan')
    true, scores = np.concatenate(true), np.concatenate(scores)
    if not len(scores):
        return 0.0
    order = np.argsort(scores)
    ordered, right = scores[order], true[order]
    first = np.unique(ordered, return_index=True)[1]  # of the equal scores
    hits = right.sum() - np.concatenate([[0], np.cumsum(right)])[first]
    precision = np.append(hits / (len(scores) - first), 1.0)
    recall = np.append(hits / (right.sum() + missed), 0.0)
    padded = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ (padded[:-2] - padded[2:])) / 2
