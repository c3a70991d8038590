"""What goes wrong: errors by kind as TIDE defines them (https://arxiv.org/abs/2008.08115), and what each image costs.

TIDE's own matching is COCO's at an IoU of 0.5, except that it takes 100 boxes of an image instead of 100 of each
class; here COCO's is used, so that what the errors cost is counted from the official AP50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bdd100k.eval.det import IOU_THRESHOLDS, Matchable
from ..bdd100k.eval.matching import LIMIT, Pairs
from .average_precision import Matched, interpolated

#: From this IoU on a box is found, and up to this one it is on background.
FOUND, BACKGROUND = 0.5, 0.1
#: What a prediction is: right, not counted (on an ignored region, or beyond the best 100), or an error of a kind.
RIGHT, NOT_COUNTED, CLASS, LOCATION, BOTH, DUPLICATE, BACKGROUND_BOX = range(7)
#: What a box of the ground truth is: found, not counted, missed, or not found but met by a prediction whose class
#: or location is wrong (which TIDE counts there, and not as missed).
TRUTH_FOUND, TRUTH_NOT_COUNTED, TRUTH_MISSED, TRUTH_MET = range(4)
#: The kinds in TIDE's order: key, code of a prediction (None: of the ground truth), name, what it means.
KINDS = (
    ('cls', CLASS, 'Classification', 'overlaps a box of another class by at least 0.5'),
    ('loc', LOCATION, 'Localization', 'overlaps a box of its class by 0.1 to 0.5'),
    ('both', BOTH, 'Both', 'class and location are wrong'),
    ('dupe', DUPLICATE, 'Duplicate', 'its object has a box with a higher score'),
    ('bkg', BACKGROUND_BOX, 'Background', 'overlaps nothing by more than 0.1'),
    ('miss', None, 'Missed', 'no prediction is near it, not even a wrong one'),
)


@dataclass
class Errors:
    """The kind of every box; n predictions, g boxes of the ground truth."""

    prediction: np.ndarray  #: (n,) uint8, `RIGHT` to `BACKGROUND_BOX`
    truth: np.ndarray  #: (g,) uint8, `TRUTH_FOUND` to `TRUTH_MET`
    match: (
        np.ndarray
    )  #: (n,) row of the ground truth that a prediction has, or that its error is about; -1 for none
    mends: (
        np.ndarray
    )  #: (n,) bool, a classification or location error that would find its object if it were mended


def classify(
    data: Matchable, pairs: Pairs, rank: np.ndarray, found: np.ndarray, ignored: np.ndarray
) -> Errors:
    """Name the error of each box.

    Args:
        data, pairs, rank: As for `matching.match_boxes`; ``pairs`` holds all from an IoU of 0.1 on.
        found: (n,) its result at an IoU of 0.5.
        ignored: (g,) bool, ground truth that does not count.
    """
    n, g = len(data.dt_image), len(data.gt_image)
    pairs = pairs.where(~ignored[pairs.second])
    same = data.dt_category[pairs.first] == data.gt_category[pairs.second]
    own_iou, own = _highest(pairs.where(same), n)
    other_iou, other = _highest(pairs.where(~same), n)
    right = (found >= 0) & ~np.append(ignored, False)[found]
    used = np.zeros(g, bool)
    used[found[right]] = True
    taken_iou, taken = _highest(pairs.where(same & used[pairs.second]), n)
    kinds = np.select(
        [
            right,
            (found >= 0) | (rank >= LIMIT),
            (own_iou >= BACKGROUND) & (own_iou <= FOUND),
            other_iou >= FOUND,
            taken_iou >= FOUND,
            np.maximum(own_iou, other_iou) <= BACKGROUND,
        ],
        [RIGHT, NOT_COUNTED, LOCATION, CLASS, DUPLICATE, BACKGROUND_BOX],
        BOTH,
    ).astype(np.uint8)
    match = np.select(
        [right, kinds == LOCATION, kinds == CLASS, kinds == DUPLICATE], [found, own, other, taken], -1
    )
    # Of the errors about one object that has no box, the best one would find it.
    rows = np.flatnonzero(np.isin(kinds, (LOCATION, CLASS)))
    rows = rows[~used[match[rows]]]
    order = rows[np.lexsort((-data.dt_score[rows], data.dt_image[rows]))]
    met, first = np.unique(match[order], return_index=True)
    mends = np.zeros(n, bool)
    mends[order[first]] = True
    truth = np.full(g, TRUTH_MISSED, np.uint8)
    truth[met] = TRUTH_MET
    truth[used] = TRUTH_FOUND
    truth[ignored] = TRUTH_NOT_COUNTED
    return Errors(kinds, truth, match, mends)


def _highest(pairs: Pairs, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) highest IoU of each first box, 0 where it has none, and the first second box with it, -1 for none."""
    iou, second = np.zeros(n), np.full(n, -1)
    order = np.lexsort((-pairs.second, pairs.iou, pairs.first))  # the last of a box is its highest
    rows = pairs.first[order]
    iou[rows], second[rows] = pairs.iou[order], pairs.second[order]
    return iou, second


def costs(data: Matchable, errors: Errors) -> dict[str, np.ndarray]:
    """AP50 as it is, and as it were if all errors of a kind were mended, as TIDE does it.

    The best classification or localization error about an object that has no box becomes right (with the object's
    class); other errors are left out, and what is missed is not asked for.

    Returns:
        For ``AP50``, the key of each of `KINDS`, ``false_positives`` (all put behind what is right) and
        ``false_negatives`` (all not asked for): (classes,) AP50 in 0 to 1. NaN of a class without ground truth, and,
        as in TIDE, of one of which nothing is asked for any more and nothing is predicted; where something is, 0.
    """
    kinds, score, category = errors.prediction, data.dt_score, data.dt_category - 1
    counted = errors.truth != TRUTH_NOT_COUNTED
    number = len(data.classes)
    asked = np.bincount(data.gt_category[counted] - 1, minlength=number)
    keep = kinds != NOT_COUNTED
    right = kinds == RIGHT

    def ap(right, keep, category=category, score=score, asked=asked):
        values = [_ap50(score, right, keep & (category == k), asked[k]) for k in range(number)]
        return np.where(present, values, np.nan)

    def without(lost):
        return asked - np.bincount(data.gt_category[lost] - 1, minlength=number)

    present = asked > 0
    found = {'AP50': ap(right, keep)}
    for key, code, *_ in KINDS:
        if code is None:
            found[key] = ap(right, keep, asked=without(errors.truth == TRUTH_MISSED))
            continue
        mended = (kinds == code) & errors.mends
        become = np.where(mended, data.gt_category[errors.match] - 1, category) if mended.any() else category
        found[key] = ap(right | mended, keep & ((kinds != code) | mended), become)
    found['false_positives'] = ap(right, keep, score=right.astype(float))
    found['false_negatives'] = ap(right, keep, asked=without(counted & (errors.truth != TRUTH_FOUND)))
    return found


def _ap50(score: np.ndarray, right: np.ndarray, keep: np.ndarray, asked: int) -> float:
    score, right = score[keep], right[keep]
    if not asked:
        return 0.0 if len(score) else np.nan
    right = right[np.argsort(-score, kind='stable')]
    place = np.flatnonzero(right)
    found = np.arange(1, len(place) + 1)
    return float(interpolated(found / asked, found / (place + 1 + np.spacing(1))).mean())


def rise(price: dict[str, np.ndarray], key: str) -> float:
    """The points by which AP50 over all classes rises, of `costs`; a fall, which TIDE lays to the recalls at which
    precision is read, is 0. NaN without ground truth."""
    base, mended = (price[k][np.isfinite(price[k])] for k in ('AP50', key))
    if not len(base):
        return float('nan')
    return max(0.0, 100 * float((mended.mean() if len(mended) else 0) - base.mean()))


def loss_by_image(found: Matched) -> np.ndarray:
    """(images,) points of AP that each image costs; they sum to 100 minus AP.

    The AP meant here is the area under the raw precision-recall curve (precision at each box that is found, over
    the number of boxes; not read at 101 recalls), the mean over classes with ground truth and the ten IoU
    thresholds. Of a class and threshold, AP = sum of precision / N over what is found, so that what it lacks of 1
    splits without rest: 1 / N for each box of the ground truth that is not found, and for each false alarm the
    share 1 / (N * number of boxes up to there) of every right box behind it.
    """
    positives = found.positives()
    present = np.flatnonzero(positives)
    loss = np.zeros(found.num_images)
    if not len(present):
        return loss
    for k in present:
        number = positives[k]
        part = slice(found.start[k], found.start[k + 1])
        image = found.image[part]
        truth = np.bincount(found.gt_image[found.gt_class == k], minlength=found.num_images)
        for t in range(len(IOU_THRESHOLDS)):
            right, ignored = found.right[t, part], found.ignored[t, part]
            upto = np.cumsum(~ignored)
            share = np.where(right, 1 / np.maximum(upto, 1), 0)
            behind = np.cumsum(share[::-1])[::-1]
            wrong = ~right & ~ignored
            loss += (truth - np.bincount(image[right], minlength=len(loss))) / number
            loss += np.bincount(image[wrong], behind[wrong], len(loss)) / number
    return 100 * loss / (len(present) * len(IOU_THRESHOLDS))
