"""Scores of box tracking: the official numbers of ``python -m bdd100k.eval.run -t box_track``.

Counts of each video and class (``clear``) are summed; super-categories and OVERALL are sums of classes, AVERAGE is
the mean over all eight classes, where what is not defined counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..track_columns import TRACK_CLASSES, TrackColumns
from .clear import COUNTS, Video
from .result import Scores
from .track_pairing import Pairing, VideoData, pair_frames

SUPER_CLASSES = {
    'human': ('pedestrian', 'rider'),
    'vehicle': ('car', 'truck', 'bus', 'train'),
    'bike': ('motorcycle', 'bicycle'),
}
METRICS = ('MOTA', 'MOTP', 'IDF1', 'FP', 'FN', 'IDSw', 'MT', 'PT', 'ML', 'FM')
AVERAGED = ('MOTA', 'MOTP', 'IDF1')
_GROUPS = [TRACK_CLASSES, tuple(SUPER_CLASSES), ('AVERAGE', 'OVERALL')]


class TrackScores(Scores):
    """``{"mMOTA": value, ..., metric: [{class: value}, {super-category: value}, {"AVERAGE", "OVERALL"}]}``.

    Ratios are in percent, NaN or -inf where there is nothing to divide by; counts are int.
    """

    def summary(self) -> dict[str, float]:
        """The official summary: the means over the classes, and OVERALL of every metric."""
        return {key: rows[-1]['OVERALL'] if isinstance(rows, list) else rows for key, rows in self.items()}


def evaluate_track(
    gt: TrackColumns, pred: TrackColumns, *, iou_thr: float = 0.5, ignore_iof_thr: float = 0.5
) -> TrackScores:
    """The official scores of predicted tracks.

    Args:
        gt, pred: ``read_track_columns`` of the ground truth and of the predictions.
        iou_thr: A prediction is right from this IoU on.
        ignore_iof_thr: Predictions that are not right and lie by more than this part in crowd or ignored boxes
            do not count.

    Raises:
        LabelFileError: As `pair_frames`.
    """
    pairing = pair_frames(gt, pred)
    return scores_of(counts_of_videos(pairing, iou_thr, ignore_iof_thr).values())


def counts_of_videos(
    pairing: Pairing, iou_thr: float = 0.5, ignore_iof_thr: float = 0.5
) -> dict[str, np.ndarray]:
    """(classes, ``clear.COUNTS``) of each video by its name."""
    return {data.name: video_of(data, iou_thr, ignore_iof_thr).counts() for data in pairing.data()}


def video_of(data: VideoData, iou_thr: float, ignore_iof_thr: float) -> Video:
    """The pairs of one video."""
    return Video(data.gt, data.dt, data.ignored, len(TRACK_CLASSES), iou_thr, ignore_iof_thr)


def scores_of(counts: Iterable[np.ndarray]) -> TrackScores:
    """The official scores of the sum of counts of videos."""
    total = sum(counts, np.zeros((len(TRACK_CLASSES), len(COUNTS))))
    rows = {name: _figures(total[k]) for k, name in enumerate(TRACK_CLASSES)}
    for name, members in SUPER_CLASSES.items():
        rows[name] = _figures(total[[TRACK_CLASSES.index(m) for m in members]].sum(0))
    overall = _figures(total.sum(0))
    rows['AVERAGE'] = {
        metric: float(np.mean([_finite(rows[name][metric]) for name in TRACK_CLASSES]))
        if metric in AVERAGED
        else overall[metric]
        for metric in METRICS
    }
    rows['OVERALL'] = overall
    scores = TrackScores({f'm{metric}': rows['AVERAGE'][metric] for metric in ('MOTA', 'MOTP', 'IDF1')})
    for metric in METRICS:
        scores[metric] = grouped({name: row[metric] for name, row in rows.items()})
    return scores


def grouped(values: Mapping[str, float]) -> list[dict[str, float]]:
    """Values of classes, of super-categories, and of AVERAGE and OVERALL, as the official JSON has them."""
    return [{name: values[name] for name in group} for group in _GROUPS]


def over_videos(
    counts: Mapping[str, np.ndarray], groups: Mapping[str, Sequence[str]]
) -> dict[str, TrackScores]:
    """The scores of groups of videos."""
    return {name: scores_of(counts[video] for video in videos) for name, videos in groups.items()}


def by_attribute(gt: TrackColumns, attribute: str) -> dict[str, list[str]]:
    """The videos of each value of a frame attribute, as most of the video's frames have it ('' is no value)."""
    codes, values = gt.attributes[attribute], gt.attribute_values[attribute]
    groups: dict[str, list[str]] = {}
    for video, rows in gt.by_video().items():
        found = codes[rows]
        given = found[[values[code] != '' for code in found]]
        value = values[np.bincount(given).argmax()] if len(given) else ''
        groups.setdefault(value or '(none)', []).append(video)
    return dict(sorted(groups.items()))


def _figures(total: np.ndarray) -> dict[str, float]:
    """The official figures of sums over videos and classes."""
    c = dict(zip(COUNTS, total.tolist()))
    wrong = c['FN'] + c['IDSw'] + c['FP']
    ratios = dict(
        MOTA=100 * (1 - _divide(wrong, c['objects'])),
        MOTP=100 * (1 - _divide(c['distance'], c['objects'] - c['FN'])),
        IDF1=100 * _divide(2 * c['IDTP'], c['objects'] + c['predictions']),
    )
    return ratios | {name: int(c[name]) for name in METRICS[3:]}


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.inf if a else math.nan


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
