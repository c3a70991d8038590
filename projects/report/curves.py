"""Curves of a detector: precision and recall, F1 over the threshold, histograms of scores, calibration."""

from __future__ import annotations

import numpy as np

from ..bdd100k.eval.det import IOU_THRESHOLDS
from .average_precision import RECALLS, Matched, interpolated

#: Thresholds at which F1 is drawn.
THRESHOLDS = np.arange(101) / 100
#: Bins of the histogram and of the calibration.
BINS, CALIBRATION_BINS = 50, 10


def precision_recall(found: Matched) -> tuple[np.ndarray, np.ndarray]:
    """Precision and score at COCO's 101 recalls.

    Returns:
        (classes, 10, 101) precision, NaN of a class without ground truth; (classes, 10, 101) the score down to which
        that recall is reached, NaN where it is not.
    """
    precision = np.full((found.num_classes, len(IOU_THRESHOLDS), len(RECALLS)), np.nan)
    score = np.full_like(precision, np.nan)
    for k in np.flatnonzero(found.positives()):
        own = found.score[found.start[k] : found.start[k + 1]]
        for t, (place, recall, values) in enumerate(found.curves(k)):
            precision[k, t] = interpolated(recall, values)
            score[k, t] = np.append(own[place], np.nan)[np.searchsorted(recall, RECALLS)]
    return precision, score


def f1(found: Matched, classes: np.ndarray, t: int = 0) -> dict:
    """Precision, recall and F1 of the predictions of some classes from each threshold up.

    Args:
        classes: Rows of the classes, whose boxes are counted together.
        t: Row of ``IOU_THRESHOLDS``.

    Returns:
        ``precision``, ``recall``, ``f1`` at `THRESHOLDS` (NaN where nothing is predicted or asked for), and ``best``:
        the score, among all there are, from which up F1 is highest, with its ``f1``, ``precision`` and ``recall``;
        None if nothing is right.
    """
    score, right = _counted(found, classes, t)
    order = np.argsort(-score, kind='stable')
    score, right = score[order], np.cumsum(right[order])
    asked = int(np.isin(found.gt_class, classes).sum())

    def measures(number):  # of predictions taken
        hits = np.append(0, right)[number].astype(float)
        with np.errstate(invalid='ignore', divide='ignore'):
            return hits / number, hits / asked, 2 * hits / (number + asked)

    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])  # of equals all are taken
    best = None
    if len(ends) and right[-1] and asked:
        p, r, f = measures(ends + 1)
        i = int(f.argmax())
        best = dict(
            threshold=float(score[ends[i]]), f1=float(f[i]), precision=float(p[i]), recall=float(r[i])
        )
    p, r, f = measures(np.searchsorted(-score, -THRESHOLDS, 'right'))
    return dict(precision=p, recall=r, f1=f, best=best)


def histogram(found: Matched, classes: np.ndarray, t: int = 0) -> dict:
    """How many predictions of some classes have which score, and how many of them are right.

    Returns:
        ``right``, ``wrong``: (BINS,) counts between 0 and 1; ``calibration``: of CALIBRATION_BINS equal ranges the
        ``number`` of predictions, their mean ``score`` and the share that is right (``precision``), NaN where there
        are none; ``ece``: the mean difference of the two, by number (expected calibration error).
    """
    score, right = _counted(found, classes, t)

    def bins(number: int) -> np.ndarray:
        return np.clip((score * number).astype(np.int64), 0, number - 1)

    place = bins(BINS)
    hits = np.bincount(place[right], minlength=BINS)
    place = bins(CALIBRATION_BINS)
    number = np.bincount(place, minlength=CALIBRATION_BINS)
    with np.errstate(invalid='ignore', divide='ignore'):
        mean = np.bincount(place, score, CALIBRATION_BINS) / number
        precision = np.bincount(place[right], minlength=CALIBRATION_BINS) / number
    ece = float(np.nansum(number * np.abs(mean - precision)) / len(score)) if len(score) else float('nan')
    return dict(
        right=hits,
        wrong=np.bincount(bins(BINS), minlength=BINS) - hits,
        calibration=dict(number=number, score=mean, precision=precision),
        ece=ece,
    )


def _counted(found: Matched, classes: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the predictions of some classes that count, and which are right."""
    rows = [np.arange(found.start[k], found.start[k + 1]) for k in classes]
    rows = np.concatenate([np.zeros(0, np.int64), *rows])
    rows = rows[~found.ignored[t, rows]]
    return found.score[rows], found.right[t, rows]
