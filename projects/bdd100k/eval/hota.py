"""HOTA (Luiten et al., IJCV 2021) of tracks, as TrackEval computes it.

Boxes are x2 - x1 wide, and every class is scored alone. Super-categories and OVERALL are averaged over detections,
AVERAGE over all eight classes, as the BDD100K challenges of 2022 and 2023 did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..track_columns import TRACK_CLASSES
from .alignment import EPS, alignment, association, best_pairs, frames_of, renumbered
from .track import SUPER_CLASSES, grouped
from .track_pairing import VideoData

ALPHAS = np.arange(0.05, 0.99, 0.05)
#: Sums over videos: (alphas,) each.
SUMS = ('TP', 'FN', 'FP', 'AssA')


def hota_sums(data: VideoData) -> np.ndarray:
    """(classes, 4, alphas) true positives, misses, false positives, and AssA times true positives, of one video."""
    frames = frames_of(data, per_class=True, inclusive=False)
    sums = np.zeros((len(TRACK_CLASSES), len(SUMS), len(ALPHAS)))
    present = np.unique(np.concatenate([data.gt.category, data.dt.category]))
    for c in present.tolist():
        of_class = [f.where(f.gt_category == c, f.dt_category == c) for f in frames]
        sums[c] = _of_class(of_class)
    return sums


def _of_class(frames: list) -> np.ndarray:
    frames, num_gt, num_dt = renumbered(frames)
    score, gt_count, dt_count = alignment(frames, num_gt, num_dt)
    matches = np.zeros((len(ALPHAS), num_gt, num_dt))
    for f in frames:
        rows, columns, similarity = best_pairs(f, score)
        is_match = similarity[None] >= ALPHAS[:, None] - EPS
        for a in range(len(ALPHAS)):
            matches[a, f.gt_track[rows[is_match[a]]], f.dt_track[columns[is_match[a]]]] += 1
    true = matches.sum((1, 2))
    assa = association(matches, gt_count, dt_count, true) if num_gt and num_dt else np.zeros(len(ALPHAS))
    return np.stack([true, gt_count.sum() - true, dt_count.sum() - true, assa * true])


def hota_scores(sums: Iterable[np.ndarray]) -> dict[str, list[dict[str, float]]]:
    """HOTA, DetA and AssA of the sum over videos, in percent, grouped as the official scores are."""
    total = sum(sums, np.zeros((len(TRACK_CLASSES), len(SUMS), len(ALPHAS))))
    rows = {name: _figures(total[[k]]) for k, name in enumerate(TRACK_CLASSES)}
    for name, members in SUPER_CLASSES.items():
        rows[name] = _figures(total[_rows(members)])
    rows['AVERAGE'] = {
        key: float(np.mean([rows[name][key] for name in TRACK_CLASSES])) for key in ('HOTA', 'DetA', 'AssA')
    }
    rows['OVERALL'] = _figures(total)
    return {key: grouped({name: row[key] for name, row in rows.items()}) for key in ('HOTA', 'DetA', 'AssA')}


def _rows(names: Sequence[str]) -> list[int]:
    return [TRACK_CLASSES.index(name) for name in names]


def _figures(total: np.ndarray) -> dict[str, float]:
    true, missed, false, weighted = total.sum(0)
    detection = true / np.maximum(1, true + missed + false)
    association_ = weighted / np.maximum(1, true)
    figures = dict(HOTA=np.sqrt(detection * association_), DetA=detection, AssA=association_)
    return {key: 100 * float(value.mean()) for key, value in figures.items()}
