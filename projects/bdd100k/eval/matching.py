"""COCO's matching of boxes, for all images at once.

Boxes of a group (the boxes of one class in an image) are taken best first, and what the k-th takes depends on
those before it. So the k-th boxes of all groups are matched together, one round after another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .det import IOU_THRESHOLDS, Matchable

#: Predictions of a class in an image that count.
LIMIT = 100
#: Pairs of boxes that are compared at a time.
_BLOCK = 1 << 20


class Pairs(NamedTuple):
    """Boxes of one image that overlap, p pairs in the order of the first, then of the second."""

    first: np.ndarray  #: (p,) rows
    second: np.ndarray  #: (p,) rows
    iou: np.ndarray  #: (p,) 0 to 1; with a crowd, the share of the first's own area

    def where(self, keep: np.ndarray) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(part[keep] for part in self))


def overlapping(
    image_a: np.ndarray,
    bbox_a: np.ndarray,
    image_b: np.ndarray,
    bbox_b: np.ndarray,
    crowd_b: np.ndarray | None = None,
    lowest: float = 0.1,
) -> Pairs:
    """The pairs of boxes of the same image whose IoU is at least ``lowest``, in pycocotools' arithmetic.

    Args:
        image_a, image_b: (n,), (m,) the image of each box, rising.
        bbox_a, bbox_b: (n, 4), (m, 4) x, y, width, height.
        crowd_b: (m,) bool; what is shared with a crowd is measured by the first box's own area.
    """
    start = np.searchsorted(image_b, image_a)
    count = np.searchsorted(image_b, image_a, 'right') - start
    ends = np.cumsum(count)
    cuts = np.searchsorted(ends, np.arange(_BLOCK, ends[-1] if len(ends) else 0, _BLOCK))
    low_a, high_a, area_a = bbox_a[:, :2], bbox_a[:, :2] + bbox_a[:, 2:], bbox_a[:, 2] * bbox_a[:, 3]
    low_b, high_b, area_b = bbox_b[:, :2], bbox_b[:, :2] + bbox_b[:, 2:], bbox_b[:, 2] * bbox_b[:, 3]
    parts = []
    for rows in np.split(np.arange(len(image_a)), cuts):
        number = count[rows]
        a = np.repeat(rows, number)
        b = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number - start[rows], number)
        side = np.minimum(high_a[a], high_b[b]) - np.maximum(low_a[a], low_b[b])
        kept = (side > 0).all(1)
        a, b, shared = a[kept], b[kept], side[kept, 0] * side[kept, 1]
        union = area_a[a] + area_b[b] - shared
        if crowd_b is not None:
            union = np.where(crowd_b[b], area_a[a], union)
        iou = shared / union
        kept = iou >= lowest
        parts.append((a[kept], b[kept], iou[kept]))
    return Pairs(*map(np.concatenate, zip(*parts)))


def pairs_of(data: Matchable, lowest: float = 0.1) -> Pairs:
    """`overlapping` of predictions and ground truth, of any classes."""
    return overlapping(data.dt_image, data.dt_bbox, data.gt_image, data.gt_bbox, data.gt_crowd, lowest)


def ranks(score: np.ndarray, *groups: np.ndarray) -> np.ndarray:
    """(n,) the place of each box in its group, the best first, of equals the first; from 0."""
    order = np.lexsort((-score, *groups))
    new = np.zeros(len(order), bool)
    for key in groups:
        new[1:] |= np.diff(key[order]) != 0
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - start
    return rank


def take_turns(
    pairs: Pairs,
    rank: np.ndarray,
    num_second: int,
    thresholds: np.ndarray,
    ignored: np.ndarray | None = None,
    crowd: np.ndarray | None = None,
    last_of_equals: bool = True,
) -> np.ndarray:
    """What each first box takes in its turn: the free second box that it overlaps most.

    Args:
        pairs: The boxes that may be matched.
        rank: (n,) the turn of every first box; boxes of one turn have no second box in common.
        num_second: How many second boxes there are, m.
        thresholds: (t,) the IoU from which boxes match; each is a matching of its own.
        ignored: (m,) bool, second boxes that are taken only if no other matches.
        crowd: (m,) bool, second boxes that stay free.
        last_of_equals: Of second boxes with one IoU take the last, as COCO does, or the first.

    Returns:
        (t, n) int64 row of the second box; -1 for none.
    """
    pairs = pairs.where(pairs.iou >= thresholds.min())
    match = np.full((len(thresholds), len(rank)), -1)
    free = np.ones((len(thresholds), num_second), bool)
    turn = rank[pairs.first]
    order = np.argsort(turn, kind='stable')
    pairs, turn = pairs.where(order), turn[order]
    worth = pairs.iou if ignored is None else pairs.iou + 2.0 * ~ignored[pairs.second]
    place = np.arange(len(turn)) if last_of_equals else -np.arange(len(turn))
    never = np.iinfo(place.dtype).min
    rounds = np.flatnonzero(np.diff(turn, prepend=-1))
    for begin, end in zip(rounds, [*rounds[1:], len(turn)]):
        first, second, iou = (part[begin:end] for part in pairs)
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        sizes = np.diff(starts, append=len(first))
        able = (iou >= thresholds[:, None]) & free[:, second]
        value = np.where(able, worth[begin:end], -1)
        best = np.repeat(np.maximum.reduceat(value, starts, 1), sizes, 1)
        chosen = np.where(able & (value == best), place[begin:end], never)
        chosen = np.maximum.reduceat(chosen, starts, 1)
        row, column = np.nonzero(chosen != never)
        taken = pairs.second[np.abs(chosen[row, column])]
        match[row, first[starts][column]] = taken
        if crowd is not None:
            row, taken = row[~crowd[taken]], taken[~crowd[taken]]
        free[row, taken] = False
    return match


def match_boxes(
    data: Matchable,
    pairs: Pairs,
    ignored: np.ndarray,
    rank: np.ndarray,
    thresholds: np.ndarray = IOU_THRESHOLDS,
) -> np.ndarray:
    """(t, n) row of the ground-truth box that each prediction has, -1 for none: COCO's ``evaluateImg``.

    Args:
        pairs: `pairs_of` the data.
        ignored: (g,) bool, ground truth that does not count (crowds among them).
        rank: (n,) the place of each prediction in its class and image; those from `LIMIT` on match nothing.
    """
    same = data.dt_category[pairs.first] == data.gt_category[pairs.second]
    return take_turns(
        pairs.where(same & (rank[pairs.first] < LIMIT)),
        rank,
        len(data.gt_image),
        thresholds,
        ignored,
        data.gt_crowd,
    )
