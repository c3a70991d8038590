"""The boxes that the page draws over each image, and the lists of images behind cells and error kinds."""

from __future__ import annotations

import numpy as np

from ..bdd100k.columns import Columns
from ..bdd100k.eval.analysis import taken_for
from .det_scores import Result
from .errors import KINDS, RIGHT, TRUTH_MISSED, Errors
from .postings import LEVELS, highest, levels, packed

#: Scores are kept in ten-thousandths, coordinates in tenths of a pixel.
SCORE, PIXEL = 10_000, 10


def boxes_of_images(
    gt: Columns, results: list[Result], errors: list[Errors], sizes: list[tuple[int, int]]
) -> list[dict]:
    """Of each image its ``size`` (width, height), ``truth`` and ``results``, numbers one after the other.

    Of a box of the ground truth: class, marks (1 not counted, 2 occluded, 4 truncated), x, y, width, height, and what
    each result makes of it (a code of `errors`). Of a prediction: class, score, kind (a code of `errors`), row in the
    image's truth of what it has or is about (-1: none), x, y, width, height. Predictions' scores fall.
    """
    data = results[0].data
    marks = data.gt_crowd.astype(np.int64)
    for bit, key in ((2, 'occluded'), (4, 'truncated')):
        if key in gt.box_attributes:
            marks += bit * (gt.box_attributes[key][data.gt_rows] == 1)
    boxes = np.round(data.gt_bbox * PIXEL).astype(np.int64)
    states = [e.truth.astype(np.int64) for e in errors]
    truth = np.column_stack([data.gt_category - 1, marks, boxes, *states])
    places = np.arange(data.num_images + 1) + 1
    first = np.searchsorted(data.gt_image, places)
    images = [
        dict(size=size, truth=truth[a:b].ravel().tolist(), results=[])
        for size, a, b in zip(sizes, first, first[1:])
    ]
    for result, found in zip(results, errors):
        data = result.data
        order = np.lexsort((-data.dt_score, data.dt_image))
        about = np.where(found.match >= 0, found.match - first[data.dt_image - 1], -1)
        rows = np.column_stack(
            [
                data.dt_category - 1,
                levels(data.dt_score, SCORE),
                found.prediction,
                about,
                np.round(data.dt_bbox * PIXEL).astype(np.int64),
            ]
        )[order]
        start = np.searchsorted(data.dt_image[order], places)
        for image, a, b in zip(images, start, start[1:]):
            image['results'].append(rows[a:b].ravel().tolist())
    return images


def error_lists(result: Result, errors: Errors) -> dict[str, str]:
    """``KIND/CLASS`` to the images that have such an error, each with the highest score of one (hundredths).

    The class is that of the prediction; of missed boxes, which have no score, that of the object.
    """
    data, lists = result.data, {}
    score = levels(data.dt_score)
    for key, code, *_ in KINDS:
        if code is None:
            missed = errors.truth == TRUTH_MISSED
            parts = data.gt_category[missed] - 1, data.gt_image[missed] - 1, np.full(missed.sum(), LEVELS)
        else:
            wrong = errors.prediction == code
            parts = data.dt_category[wrong] - 1, data.dt_image[wrong] - 1, score[wrong]
        lists |= {f'{key}/{k}': packed(*images) for k, images in highest(*parts).items()}
    return lists


def confusion_lists(result: Result) -> tuple[list, dict[str, str]]:
    """The confusion matrix at every threshold of hundredths, and the images behind its cells.

    Returns:
        Of each cell ``[true class, predicted class, counts by level]``, from level 0 on. With a predicted class they
        count predictions; those with a level of at least the threshold are in the cell. Without one (the last
        class) they count boxes of the ground truth by the level of what has them, and before these the number of
        those that nothing has; the cell holds these and the levels below the threshold.
        ``TRUE/PREDICTED`` to the images in the cell: each with its highest level, which must reach the
        threshold; or without a predicted class with its lowest level plus 1 (0: nothing has the box), which must
        be at most the threshold.
    """
    data, none = result.data, len(result.data.classes)
    match, on_crowd = taken_for(data, result.pairs)
    level = levels(data.dt_score)
    kept = ~on_crowd
    true = np.append(data.gt_category - 1, none)[match[kept]]
    key = true * (none + 1) + data.dt_category[kept] - 1
    image = data.dt_image[kept] - 1
    lists = highest(key, image, level[kept])
    counts = {int(k): np.bincount(level[kept][key == k]).tolist() for k in np.unique(key)}
    held = np.full(len(data.gt_image), -1)
    held[match[match >= 0]] = level[match >= 0]
    asked = ~data.gt_crowd
    key = (data.gt_category[asked] - 1) * (none + 1) + none
    lists |= highest(key, data.gt_image[asked] - 1, held[asked] + 1, lowest=True)
    counts |= {int(k): np.bincount(held[asked][key == k] + 1).tolist() for k in np.unique(key)}
    names = {k: divmod(k, none + 1) for k in counts}
    return (
        [[*names[k], values] for k, values in counts.items()],
        {f'{i}/{j}': packed(*lists[k]) for k, (i, j) in names.items()},
    )


def class_lists(result: Result) -> list[str]:
    """Of each class the images whose ground truth, of what counts, has it."""
    data = result.data
    counted = ~data.gt_crowd
    image = data.gt_image[counted] - 1
    found = highest(data.gt_category[counted] - 1, image, np.zeros(len(image), np.int64))
    return [packed(*found[k]) if k in found else '' for k in range(len(data.classes))]


def wrong_counts(result: Result, errors: Errors) -> np.ndarray:
    """(images,) errors of all kinds."""
    data = result.data
    wrong = errors.prediction > RIGHT + 1
    number = np.bincount(data.dt_image[wrong] - 1, minlength=data.num_images)
    return number + np.bincount(data.gt_image[errors.truth == TRUTH_MISSED] - 1, minlength=data.num_images)
