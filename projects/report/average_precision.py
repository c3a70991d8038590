"""COCO's average precision with a weight for every image: of all images, of some, and of drawn ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..bdd100k.eval.det import Matchable
from ..bdd100k.eval.matching import LIMIT, Pairs, match_boxes

#: The recalls at which precision is read.
RECALLS = np.linspace(0, 1, 101)
#: Areas in pixels of the sizes, smallest and largest.
SIZES = {'all': (0, 1e10), 'small': (0, 32**2), 'medium': (32**2, 96**2), 'large': (96**2, 1e10)}


@dataclass
class Matched:
    """The n predictions that count, by class, best first, and what COCO's matching made of them.

    Ground truth that is ignored, and of sizes also predictions of another size that match nothing, do not count.
    """

    rows: np.ndarray  #: (n,) rows of the predictions in the data
    start: np.ndarray  #: (classes + 1,) where each class begins
    image: np.ndarray  #: (n,) from 0
    score: np.ndarray  #: (n,)
    right: np.ndarray  #: (10, n) bool
    ignored: np.ndarray  #: (10, n) bool
    match: np.ndarray  #: (10, n) row of the ground truth, -1 for none
    gt_class: np.ndarray  #: (g,) from 0, of the ground truth that counts
    gt_image: np.ndarray  #: (g,) from 0
    num_images: int
    num_classes: int
    _places: dict = field(default_factory=dict, repr=False)

    def positives(self, weight: np.ndarray | None = None) -> np.ndarray:
        """(classes,) boxes of the ground truth, each with its image's weight."""
        weights = None if weight is None else weight[self.gt_image]
        return np.bincount(self.gt_class, weights, self.num_classes)

    def _right_places(self, t: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a class: where it is right, where it is ignored, and how many ignored ones lie before each right one."""
        if (t, k) not in self._places:
            part = slice(self.start[k], self.start[k + 1])
            right = np.flatnonzero(self.right[t, part])
            ignored = np.flatnonzero(self.ignored[t, part])
            self._places[t, k] = right, ignored, np.searchsorted(ignored, right)
        return self._places[t, k]

    def curves(
        self, k: int, weight: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of a class, for each IoU threshold, its right predictions, best first: their places among the class's,
        and recall and precision there.

        Args:
            k: The class, from 0.
            weight: (images,) whole numbers from 0; None for 1.
        """
        counted_class = self.gt_class == k
        number = counted_class.sum() if weight is None else weight[self.gt_image[counted_class]].sum()
        part = slice(self.start[k], self.start[k + 1])
        if weight is not None:
            own = weight[self.image[part]]
            sums = np.cumsum(own)
        for t in range(len(self.right)):
            right, ignored, before = self._right_places(t, k)
            if weight is None:
                found, counted = np.arange(1, len(right) + 1), right + 1 - before
            else:
                found = np.cumsum(own[right])
                counted = sums[right] - np.append(0, np.cumsum(own[ignored]))[before]
            with np.errstate(invalid='ignore', divide='ignore'):
                yield right, found / number, found / (counted + np.spacing(1))

    def ap(self, weight: np.ndarray | None = None) -> np.ndarray:
        """(10, classes) average precision, 0 to 1; NaN of a class without ground truth."""
        return self.ap_and_recall(weight)[0]

    def ap_and_recall(self, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(10, classes) average precision and the share of the ground truth that is found by at most 100 boxes of
        each class and image (AR100), 0 to 1; NaN of a class without ground truth."""
        found = np.full((2, len(self.right), self.num_classes), np.nan)
        for k in np.flatnonzero(self.positives(weight)):
            for t, (_, recall, precision) in enumerate(self.curves(k, weight)):
                found[:, t, k] = interpolated(recall, precision).mean(), recall[-1] if len(recall) else 0
        return found[0], found[1]


def interpolated(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """(101,) precision at `RECALLS` from the points where something right is found, recall rising."""
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return highest[np.searchsorted(recall, RECALLS)]


def matched(
    data: Matchable,
    pairs: Pairs,
    rank: np.ndarray,
    size: str = 'all',
    counts: np.ndarray | None = None,
) -> Matched:
    """Match predictions as COCO does.

    Args:
        data, pairs, rank: See `matching.match_boxes`.
        size: A key of `SIZES`.
        counts: (g,) bool, the ground truth that counts; None for all. Crowds never do.
    """
    low, high = SIZES[size]
    area = data.gt_bbox[:, 2] * data.gt_bbox[:, 3] if data.gt_area is None else data.gt_area
    ignored = data.gt_crowd | (area < low) | (area > high)
    if counts is not None:
        ignored = ignored | ~counts
    match = match_boxes(data, pairs, ignored, rank)
    area = data.dt_bbox[:, 2] * data.dt_bbox[:, 3]
    outside = (area < low) | (area > high)
    left_out = np.where(match >= 0, np.append(ignored, False)[match], outside)
    rows = np.lexsort((-data.dt_score, data.dt_category))
    rows = rows[rank[rows] < LIMIT]
    match, left_out = match[:, rows], left_out[:, rows]
    return Matched(
        rows=rows,
        start=np.searchsorted(data.dt_category[rows], np.arange(1, len(data.classes) + 2)),
        image=data.dt_image[rows] - 1,
        score=data.dt_score[rows],
        right=(match >= 0) & ~left_out,
        ignored=left_out,
        match=match,
        gt_class=data.gt_category[~ignored] - 1,
        gt_image=data.gt_image[~ignored] - 1,
        num_images=data.num_images,
        num_classes=len(data.classes),
    )
