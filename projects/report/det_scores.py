"""The table of a detector's scores: over all, and of classes, conditions, sizes and hidden objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..bdd100k.columns import Columns
from ..bdd100k.eval.det import Matchable
from ..bdd100k.eval.matching import Pairs, pairs_of, ranks
from .average_precision import SIZES, Matched, matched
from .bootstrap import resample

#: What is shown of every row.
METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR100')
_NAMES = {'small': 'small (up to 32² pixels)', 'medium': 'medium (32² to 96²)', 'large': 'large (from 96²)'}


@dataclass
class Result:
    """A result that is matched with the ground truth."""

    data: Matchable
    pairs: Pairs
    rank: np.ndarray
    sizes: dict[str, Matched]  #: of each of `SIZES`


def match_result(data: Matchable) -> Result:
    """Match the predictions of a result, for all sizes."""
    pairs, rank = pairs_of(data), ranks(data.dt_score, data.dt_category, data.dt_image)
    return Result(data, pairs, rank, {size: matched(data, pairs, rank, size) for size in SIZES})


@dataclass
class Row:
    """A row of the table: the images and boxes of a group, and the scores of every result, in percent."""

    name: str
    images: int
    boxes: int
    values: list[list[float]]  #: of each result `METRICS`; NaN where there is nothing to score


def measures(sizes: dict[str, Matched], weight: np.ndarray | None = None) -> np.ndarray:
    """(7, classes) `METRICS` in percent of each class; NaN of a class without ground truth."""
    ap, recall = sizes['all'].ap_and_recall(weight)
    rows = [ap.mean(0), ap[0], ap[5]]
    rows += [sizes[size].ap(weight).mean(0) for size in ('small', 'medium', 'large')]
    return 100 * np.stack([*rows, recall.mean(0)])


def over_classes(values: np.ndarray) -> np.ndarray:
    """The mean over the classes that have ground truth (the last axis); NaN if none has."""
    some = np.isfinite(values).sum(-1)
    with np.errstate(invalid='ignore'):
        return np.where(some, np.nansum(values, -1) / some, np.nan)


def _of_one(found: Matched) -> list[float]:
    """`METRICS` where the boxes are those of one size or kind: the scores by size are not defined."""
    ap, recall = found.ap_and_recall()
    values = over_classes(np.stack([ap.mean(0), ap[0], ap[5], recall.mean(0)]))
    return [*(100 * values[:3]).tolist(), np.nan, np.nan, np.nan, float(100 * values[3])]


def frame_attributes(gt: Columns) -> list[str]:
    """The attributes of frames that the file says something of."""
    return [key for key, values in gt.attribute_values.items() if any(values)]


def score_table(gt: Columns, results: Sequence[Result]) -> list[tuple[str, str, list[Row]]]:
    """Groups of rows: a key, a title and the rows.

    Every row is scored by COCO's evaluation: conditions on their images alone; sizes, occluded and truncated boxes
    with all others ignored, so that a prediction on one of those is neither right nor wrong.
    """
    data = results[0].data
    counted = ~data.gt_crowd
    image, category = data.gt_image[counted] - 1, data.gt_category[counted] - 1
    whole = [measures(result.sizes) for result in results]
    overall = Row('all images', data.num_images, len(image), [over_classes(v).tolist() for v in whole])
    groups = [('overall', 'Overall', [overall])]
    groups.append(
        (
            'class',
            'Class',
            [
                Row(
                    name,
                    len(np.unique(image[category == k])),
                    int((category == k).sum()),
                    [v[:, k].tolist() for v in whole],
                )
                for k, name in enumerate(data.classes)
            ],
        )
    )
    titles = dict(weather='Weather', scene='Scene', timeofday='Time of day')
    for attribute in frame_attributes(gt):
        codes, names = gt.attributes[attribute][data.frames], gt.attribute_values[attribute]
        rows = []
        for code in sorted(np.unique(codes), key=lambda c: names[c]):
            weight = (codes == code).astype(np.int64)
            values = [over_classes(measures(result.sizes, weight)).tolist() for result in results]
            rows.append(Row(names[code] or '(none)', int(weight.sum()), int(weight[image].sum()), values))
        groups.append((attribute, titles[attribute], rows))
    rows = []
    for size in list(SIZES)[1:]:
        found = results[0].sizes[size]
        boxes = len(found.gt_image), len(np.unique(found.gt_image))
        rows.append(Row(_NAMES[size], boxes[1], boxes[0], [_of_one(r.sizes[size]) for r in results]))
    groups.append(('size', 'Size of the box', rows))
    for attribute in gt.box_attributes:
        marks = gt.box_attributes[attribute][data.gt_rows]
        rows = []
        for value, name in ((1, attribute), (0, f'not {attribute}'), (-1, 'not said')):
            kept = counted & (marks == value)
            if kept.any():
                scores = [_of_one(matched(r.data, r.pairs, r.rank, counts=marks == value)) for r in results]
                rows.append(Row(name, len(np.unique(data.gt_image[kept])), int(kept.sum()), scores))
        groups.append((attribute, attribute.capitalize(), rows))
    return groups


def draws(
    result: Result, number: int, progress: Callable[[range], Iterable[int]] = lambda rows: rows
) -> np.ndarray:
    """(number, 7) `METRICS` over all classes of images that are drawn with replacement."""
    return resample(
        lambda weight: over_classes(measures(result.sizes, weight)), result.data.num_images, number, progress
    )
