"""CLEAR MOT and identity counts of one video, class by class, as the official evaluator has them.

The rules are those of scalabel 0.3.1 (``scalabel.eval.mot``) with motmetrics 1.4.0 and SciPy's assignment:
CLEAR MOT of Bernardin and Stiefelhagen (2008) and IDF1 of Ristani et al. (2016). Boxes are x, y, width, height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .assignment import linear_sum_assignment

#: Columns of the counts that are summed over videos and classes.
COUNTS = (
    'objects',  # boxes of the ground truth
    'predictions',
    'FP',
    'FN',
    'IDSw',
    'MT',  # tracks of the ground truth found in at least 80 % of their frames
    'PT',  # in at least 20 %
    'ML',
    'FM',  # how often found tracks are lost and found again
    'IDTP',  # boxes under the id that fits the track best
    'distance',  # sum of 1 - IoU of the pairs
)


@dataclass
class Boxes:
    """Boxes of one video in the order of the file within each frame."""

    frame: np.ndarray  #: (n,) int64, ascending
    category: np.ndarray  #: (n,) int64
    track: np.ndarray  #: (n,) int64, numbers from 0
    xywh: np.ndarray  #: (n, 4) float64

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, keep: np.ndarray) -> Boxes:
        return Boxes(self.frame[keep], self.category[keep], self.track[keep], self.xywh[keep])

    def by_key(self, num_classes: int) -> tuple[Boxes, np.ndarray]:
        """The boxes sorted by frame and class, and that key of each."""
        key = self.frame * num_classes + self.category
        order = np.argsort(key, kind='stable')
        return self.where(order), key[order]


@dataclass
class Pairs:
    """Pairs of a box of the ground truth and a prediction of one frame and class."""

    gt: np.ndarray  #: (p,) rows of the ground truth, ascending
    dt: np.ndarray  #: (p,) rows of the predictions, ascending for each of the former
    distance: np.ndarray  #: (p,) 1 - IoU

    def where(self, keep: np.ndarray) -> Pairs:
        return Pairs(self.gt[keep], self.dt[keep], self.distance[keep])


def equal_keys(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of equal values of two ascending arrays: rows of the first, and of the second."""
    start, stop = np.searchsorted(b, a), np.searchsorted(b, a, 'right')
    count = stop - start
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(a)), count), np.repeat(start, count) + within


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(p,) intersection over union of (p, 4) boxes with (p, 4) boxes; 0 where they do not meet."""
    a_max, b_max = a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]
    inter = np.maximum(np.minimum(a_max, b_max) - np.maximum(a[:, :2], b[:, :2]), 0).prod(1)
    area = np.maximum(a_max - a[:, :2], 0).prod(1) + np.maximum(b_max - b[:, :2], 0).prod(1)
    return np.divide(inter, area - inter, out=np.zeros(len(a)), where=inter > 0)


def intersection_over_area(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(p,) intersection of (p, 4) boxes with (p, 4) boxes over the area of the first; 0 where that is 0."""
    sides = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    inter, area = np.maximum(sides, 0).prod(1), a[:, 2:].prod(1)
    return np.divide(inter, area, out=np.zeros(len(a)), where=area != 0)


def assign(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of as many allowed pairs as can be, of the least total distance; NaN is not allowed."""
    allowed = np.isfinite(distance)
    if not allowed.any():
        return np.zeros(0, int), np.zeros(0, int)
    if not allowed.all():
        large = 2 * min(distance.shape) * (distance[allowed].max() + 1) + 1
        distance = np.where(allowed, distance, large)
    rows, columns = linear_sum_assignment(distance)
    keep = allowed[rows, columns]
    return rows[keep], columns[keep]


class Video:
    """The pairs of one video, ready to be counted.

    Args:
        gt: Boxes of the ground truth that count.
        dt: Predictions.
        ignored: (k, 4) crowd and ignored boxes of any class, and (k,) their frames, ascending.
        num_classes: Classes are numbered from 0.
        iou_thr: Pairs have at least this IoU.
        ignore_iof_thr: Predictions without a pair of which more than this part lies in an ignored box are left
            out.
    """

    def __init__(
        self,
        gt: Boxes,
        dt: Boxes,
        ignored: tuple[np.ndarray, np.ndarray],
        num_classes: int,
        iou_thr: float = 0.5,
        ignore_iof_thr: float = 0.5,
    ) -> None:
        self.num_classes = num_classes
        self.gt, self._gt_key = gt.by_key(num_classes)
        dt, dt_key = dt.by_key(num_classes)
        pairs = self._pairs(dt, dt_key, 1 - iou_thr)
        left = self._ignored(dt, dt_key, pairs, *ignored, ignore_iof_thr)
        if left.any():
            new = np.cumsum(~left) - 1
            pairs = pairs.where(~left[pairs.dt])
            pairs.dt = new[pairs.dt]
            dt, dt_key = dt.where(~left), dt_key[~left]
        self.dt, self._dt_key, self.pairs = dt, dt_key, pairs

    def _pairs(self, dt: Boxes, dt_key: np.ndarray, most: float) -> Pairs:
        rows, columns = equal_keys(self._gt_key, dt_key)
        pairs = Pairs(rows, columns, 1 - iou(self.gt.xywh[rows], dt.xywh[columns]))
        return pairs.where(~(pairs.distance > most))

    def _ignored(
        self,
        dt: Boxes,
        dt_key: np.ndarray,
        pairs: Pairs,
        boxes: np.ndarray,
        frames: np.ndarray,
        ignore_iof_thr: float,
    ) -> np.ndarray:
        """(n,) bool, predictions without a pair that lie in ignored boxes of their frame."""
        left = np.zeros(len(dt), bool)
        rows, columns = equal_keys(dt.frame, frames)
        inside = intersection_over_area(dt.xywh[rows], boxes[columns]) > ignore_iof_thr
        left[rows[inside]] = True
        asked = np.zeros(len(dt), bool)  # of which it depends on the assignment
        asked[pairs.dt] = True
        asked &= left
        wanted = np.unique(dt_key[asked])
        for group in self._groups(pairs, dt_key, wanted):
            _, columns = assign(group.matrix())
            left[group.first_dt + columns] = False
        return left

    def _groups(self, pairs: Pairs, dt_key: np.ndarray, keys: np.ndarray) -> Iterator[_Group]:
        """The groups of one frame and class with these keys, all of which have pairs."""
        pair_key = self._gt_key[pairs.gt]
        bounds = [
            np.searchsorted(array, keys, side).tolist()
            for array in (pair_key, self._gt_key, dt_key)
            for side in ('left', 'right')
        ]
        for a, b, gt0, gt1, dt0, dt1 in zip(*bounds):
            part = slice(a, b)
            yield _Group(pairs.gt[part], pairs.dt[part], pairs.distance[part], gt0, gt1, dt0, dt1)

    def match(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Follow the tracks through the video.

        Returns:
            (g,) the prediction of each box of the ground truth or -1, (g,) its distance, (g,) bool, whether the
            track had another prediction's id before.
        """
        matched = np.full(len(self.gt), -1)
        distance = np.zeros(len(self.gt))
        switched = np.zeros(len(self.gt), bool)
        last: dict[tuple[int, int], int] = {}
        gt_track, dt_track = self.gt.track.tolist(), self.dt.track.tolist()
        keys = np.unique(self._gt_key[self.pairs.gt])
        for key, group in zip(keys.tolist(), self._groups(self.pairs, self._dt_key, keys)):
            category = key % self.num_classes
            for i, j, d, is_carried in group.match(gt_track, dt_track, last, category):
                track = category, gt_track[i]
                new = dt_track[j]
                switched[i] = not is_carried and last.get(track, new) != new
                matched[i], distance[i], last[track] = j, d, new
        return matched, distance, switched

    def counts(self) -> np.ndarray:
        """(classes, len(COUNTS)) float64, the sums of each class."""
        matched, distance, switched = self.match()
        found = matched >= 0
        k = self.num_classes
        totals = {name: np.zeros(k) for name in COUNTS}

        def per_class(category: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            return np.bincount(category, weights, k)

        category = self.gt.category
        totals['objects'] += per_class(category)
        totals['predictions'] += per_class(self.dt.category)
        totals['FN'] += per_class(category[~found])
        totals['FP'] += totals['predictions'] - per_class(category[found])
        totals['IDSw'] += per_class(category[switched])
        totals['distance'] += per_class(category, distance)
        for name, value in zip(('MT', 'PT', 'ML', 'FM'), self._of_tracks(found)):
            totals[name] += value
        totals['IDTP'] += self._identities()
        return np.stack([totals[name] for name in COUNTS], 1)

    def _of_tracks(self, found: np.ndarray) -> list[np.ndarray]:
        """Of each class, the tracks that are mostly, partially and hardly found, and their fragmentations."""
        key = self.gt.track * self.num_classes + self.gt.category
        order = np.lexsort((self.gt.frame, key))
        key, found = key[order], found[order]
        if not len(key):
            return [np.zeros(self.num_classes)] * 4
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        category = key[first] % self.num_classes
        ratio = np.add.reduceat(found.astype(int), first) / np.diff(np.r_[first, len(key)])
        begins = found.copy()
        begins[1:] &= ~found[:-1] | (key[1:] != key[:-1])
        runs = np.add.reduceat(begins.astype(int), first)
        kinds = (ratio >= 0.8, (ratio >= 0.2) & (ratio < 0.8), ratio < 0.2)
        counts = [np.bincount(category[kind], minlength=self.num_classes) for kind in kinds]
        return [*counts, np.bincount(category, np.maximum(runs - 1, 0), self.num_classes)]

    def _identities(self) -> np.ndarray:
        """Of each class, the pairs under the one-to-one assignment of tracks that has most of them."""
        total = np.zeros(self.num_classes)
        category = self.gt.category[self.pairs.gt]
        for c in np.unique(category):
            rows = category == c
            gt_ids, i = np.unique(self.gt.track[self.pairs.gt[rows]], return_inverse=True)
            dt_ids, j = np.unique(self.dt.track[self.pairs.dt[rows]], return_inverse=True)
            shape = len(gt_ids), len(dt_ids)
            frames = np.bincount(i * shape[1] + j, minlength=shape[0] * shape[1]).reshape(shape)
            total[c] = frames[linear_sum_assignment(frames, maximize=True)].sum()
        return total


@dataclass
class _Group:
    """The pairs of one frame and class, and where its boxes begin and end."""

    gt: np.ndarray
    dt: np.ndarray
    distance: np.ndarray
    first_gt: int
    last_gt: int
    first_dt: int
    last_dt: int

    def matrix(self) -> np.ndarray:
        """Distances of all its boxes to all its predictions, NaN where they are no pair."""
        full = np.full((self.last_gt - self.first_gt, self.last_dt - self.first_dt), np.nan)
        full[self.gt - self.first_gt, self.dt - self.first_dt] = self.distance
        return full

    def match(
        self, gt_track: list[int], dt_track: list[int], last: dict[tuple[int, int], int], category: int
    ) -> list[tuple[int, int, float, bool]]:
        """Box, prediction, distance, and whether it is the pair of before."""
        pairs = list(zip(self.gt.tolist(), self.dt.tolist(), self.distance.tolist()))
        distances = {(i, j): d for i, j, d in pairs}
        out, used = [], set()
        for i in dict.fromkeys(i for i, _, _ in pairs):
            before = last.get((category, gt_track[i]))
            if before is None:
                continue
            for j in range(self.first_dt, self.last_dt):
                if dt_track[j] == before and j not in used:
                    if (i, j) in distances:
                        out.append((i, j, distances[i, j], True))
                        used.add(j)
                    break
        carried = {i for i, _, _, _ in out}
        rest = [(i, j, d) for i, j, d in pairs if i not in carried and j not in used]
        rows, columns = [i for i, _, _ in rest], [j for _, j, _ in rest]
        if len(set(rows)) == len(rows) and len(set(columns)) == len(columns):
            return out + [(i, j, d, False) for i, j, d in rest]
        # The whole matrix: a smaller one may give another of several solutions of equal cost.
        full = self.matrix()
        full[[i - self.first_gt for i in carried]] = np.nan
        full[:, [j - self.first_dt for j in used]] = np.nan
        for row, column in zip(*(part.tolist() for part in assign(full))):
            i, j = row + self.first_gt, column + self.first_dt
            out.append((i, j, distances[i, j], False))
        return out
