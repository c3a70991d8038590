"""Charts as data: the page draws them and answers to the pointer.

A chart has axes, choices (each a list of options) and, for each combination of them, series: of the result ``of`` the
points ``x``, ``y``, with further values (``more``: title to values) that the pointer shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..bdd100k.eval.det import IOU_THRESHOLDS
from . import curves
from .average_precision import RECALLS, Matched
from .page import rounded

ALL = 'all classes'
#: Of more classes than these, curves are drawn at IoU 0.50 and 0.75 alone.
FEW = 20


def chart(
    key: str, title: str, x: str, y: str, series: dict[str, list], choices: Sequence[dict] = (), **more: Any
) -> dict:
    """A chart; ``series`` are by the options' numbers, joined by commas in the order of the choices."""
    return dict(key=key, title=title, x=x, y=y, choices=list(choices), series=series, **more)


def line(of: int, x: np.ndarray, y: np.ndarray, **more: Any) -> dict:
    """A line of a result."""
    return dict(of=of, x=rounded(x), y=rounded(y), **more)


def of_detectors(found: list[Matched], names: Sequence[str]) -> list[dict]:
    """Precision-recall, F1, histogram and calibration of several detectors of classes with these names."""
    present = np.flatnonzero(found[0].positives())
    groups = [present, *(np.array([k]) for k in present)]
    classes = dict(title='Class', options=[ALL, *(names[k] for k in present)])
    places = range(len(groups))
    return [
        _precision_recall(found, present, classes),
        _f1(found, groups, classes, places),
        _histogram(found, groups, classes, places),
        _calibration(found, groups, classes, places),
    ]


def _precision_recall(found: list[Matched], present: np.ndarray, classes: dict) -> dict:
    series: dict[str, list] = {}
    chosen = range(len(IOU_THRESHOLDS)) if len(present) <= FEW else (0, 5)
    ious = ['0.50 to 0.95 (mean)', *(f'{IOU_THRESHOLDS[t]:.2f}' for t in chosen)]
    for i, result in enumerate(found):
        precision, score = curves.precision_recall(result)
        for (c, k), (i_iou, t) in product(enumerate([None, *present]), enumerate([None, *chosen])):
            rows = precision[present] if k is None else precision[[k]]
            rows = rows if t is None else rows[:, [t]]
            y = rows.mean((0, 1)) if rows.size else np.full(len(RECALLS), np.nan)
            own = line(i, RECALLS, y, note=f'AP {100 * y.mean():.1f}' if np.isfinite(y).all() else 'no AP')
            if k is not None and t is not None:
                own['more'] = {'score from': rounded(score[k, t])}
            series.setdefault(f'{c},{i_iou}', []).append(own)
    return chart(
        'pr',
        'Precision and recall',
        'recall',
        'precision',
        series,
        [classes, dict(title='IoU', options=ious, first=1)],
        kind='line',
        help='COCO\'s 101 points: the highest precision at this recall or beyond. "All classes" is the mean over the '
        'classes.',
    )


def _f1(found, groups, classes, places) -> dict:
    series = {}
    for c in places:
        rows = []
        for i, result in enumerate(found):
            values = curves.f1(result, groups[c])
            best = values['best']
            note, mark = 'nothing is right', None
            if best:
                note = f'best F1 {best["f1"]:.3f} from score {best["threshold"]:.3f}'
                mark = [best['threshold'], best['f1']]
            more = {key: rounded(values[key]) for key in ('precision', 'recall')}
            rows.append(line(i, curves.THRESHOLDS, values['f1'], more=more, note=note, mark=mark))
        series[str(c)] = rows
    return chart(
        'f1',
        'F1 over the threshold',
        'predictions from this score on',
        'F1',
        series,
        [classes],
        kind='line',
        help='At IoU 0.50. The mark is the best threshold among all scores there are; boxes of all classes are '
        'counted together.',
    )


def _histogram(found, groups, classes, places) -> dict:
    edges = np.arange(curves.BINS + 1) / curves.BINS
    series = {}
    for c in places:
        rows = []
        for i, result in enumerate(found):
            values = curves.histogram(result, groups[c])
            more = dict(right=values['right'], wrong=values['wrong'])
            total = values['right'] + values['wrong']
            note = f'{int(values["right"].sum()):,} right, {int(values["wrong"].sum()):,} wrong'
            rows.append(dict(of=i, x=rounded(edges), y=total, part=values['right'], more=more, note=note))
        series[str(c)] = rows
    return chart(
        'histogram',
        'Scores of right and wrong boxes',
        'score',
        'boxes',
        series,
        [classes],
        kind='bars',
        scale='log',
        help='At IoU 0.50; filled: right. The scale of numbers is logarithmic.',
    )


def _calibration(found, groups, classes, places) -> dict:
    series = {}
    for c in places:
        rows = []
        for i, result in enumerate(found):
            values = curves.histogram(result, groups[c])
            own = values['calibration']
            some = own['number'] > 0
            note = f'expected calibration error {values["ece"]:.3f}' if some.any() else 'no boxes'
            more = {'boxes': own['number'][some]}
            rows.append(line(i, own['score'][some], own['precision'][some], note=note, more=more))
        series[str(c)] = rows
    return chart(
        'calibration',
        'Calibration',
        'mean score',
        'share that is right',
        series,
        [classes],
        kind='points',
        diagonal=True,
        help='Predictions in ten ranges of scores, at IoU 0.50. On the diagonal a score says how often it is right.',
    )
