"""TETA (Li et al., ECCV 2022) of tracks: localization, association and classification apart.

The predictions that overlap the boxes of a class, whatever their own class is, are scored with that class; those that
the whole video assigns to boxes of another class are left out. Boxes are x2 - x1 + 1 wide, clusters have an IoU of
0.5, and predictions outside every cluster count as wrongly classified (the ``exhaustive`` form of the BDD100K
challenges of 2022 and 2023). Classes without ground truth are not scored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..track_columns import TRACK_CLASSES
from .alignment import EPS, Frame, alignment, association, best_pairs, frames_of, renumbered
from .track import SUPER_CLASSES, grouped
from .track_pairing import VideoData

ALPHAS = np.arange(0.0, 0.99, 0.05)
CLS_ALPHAS = np.arange(0.5, 0.99, 0.05)
CLUSTER = 0.5
_KEYS = ('TETA', 'LocA', 'AssocA', 'ClsA')


@dataclass
class TetaSums:
    """Sums over videos."""

    loc: (
        np.ndarray
    )  #: (classes, 4, alphas) true positives, misses, false positives, AssocA times true positives
    cls: np.ndarray  #: (classes, 3, class alphas) rightly and wrongly classified, wrongly given this class

    @classmethod
    def zeros(cls) -> TetaSums:
        k = len(TRACK_CLASSES)
        return cls(np.zeros((k, 4, len(ALPHAS))), np.zeros((k, 3, len(CLS_ALPHAS))))


def teta_sums(data: VideoData, classes: Iterable[int]) -> TetaSums:
    """The sums of one video; ``classes`` are those that the whole ground truth has, ascending."""
    frames = frames_of(data, per_class=False, inclusive=True)
    sums, classes = TetaSums.zeros(), list(classes)
    elsewhere = _assigned(frames)
    for c in classes:
        _of_class(frames, c, elsewhere, sums, classes)
    return sums


def _assigned(frames: list[Frame]) -> list[list[tuple[int, int]]]:
    """Of each frame, the pairs of a class and a track of the global assignment of all boxes at IoU 0.5."""
    clustered = [(f.similarity >= CLUSTER).any(0) for f in frames]
    ids = np.unique(np.concatenate([f.dt_track[mask] for f, mask in zip(frames, clustered)]))
    if not len(ids):
        return [[] for _ in frames]
    every = [f.where(np.ones(len(f.gt_track), bool), np.isin(f.dt_track, ids)) for f in frames]
    numbered, num_gt, num_dt = renumbered(every)
    score, _, _ = alignment(numbered, num_gt, num_dt)
    out = []
    for f, old in zip(numbered, every):
        rows, columns, similarity = best_pairs(f, score)
        good = similarity >= 0.5 - EPS
        out.append(list(zip(old.gt_category[rows[good]].tolist(), old.dt_track[columns[good]].tolist())))
    return out


def _of_class(
    frames: list[Frame], c: int, elsewhere: list[list[tuple[int, int]]], sums: TetaSums, classes: list[int]
) -> None:
    cluster = []  # (d,) bool of each frame: in the local cluster of a box of the class
    for f, assigned in zip(frames, elsewhere):
        near = (f.similarity[f.gt_category == c] >= CLUSTER).any(0)
        others = [track for category, track in assigned if category != c]
        cluster.append(near & ~np.isin(f.dt_track, others))
    num_gt_boxes = sum(int((f.gt_category == c).sum()) for f in frames)
    of_label = [int((mask | (f.dt_category == c)).sum()) for f, mask in zip(frames, cluster)]
    ids = np.unique(np.concatenate([f.dt_track[mask] for f, mask in zip(frames, cluster)]))
    if not len(ids):
        sums.loc[c, 1] += num_gt_boxes
        sums.cls[c, 2] = sum(of_label)
        return
    kept = [np.isin(f.dt_track, ids) for f in frames]
    own = [f.where(f.gt_category == c, keep) for f, keep in zip(frames, kept)]
    own, num_gt, num_dt = renumbered(own)
    score, gt_count, dt_count = alignment(own, num_gt, num_dt)
    matches = np.zeros((len(ALPHAS), num_gt, num_dt))
    for f, mask, keep, labeled in zip(own, cluster, kept, of_label):
        if not len(f.gt_track):
            sums.cls[c, 2] += labeled
            continue
        near = mask[keep]
        sums.cls[c, 2] += labeled - int(near.sum())
        rows, columns, similarity = best_pairs(f, score)
        for a, alpha in enumerate(ALPHAS):
            good = similarity >= alpha - EPS
            found = columns[good]
            left = near.copy()
            left[found] = False
            sums.loc[c, 0, a] += len(found)
            sums.loc[c, 1, a] += len(f.gt_track) - len(found)
            sums.loc[c, 2, a] += left.sum()
            matches[a, f.gt_track[rows[good]], f.dt_track[found]] += 1
            k = a - (len(ALPHAS) - len(CLS_ALPHAS))
            if k >= 0:
                labels = f.dt_category[found]
                sums.cls[c, 0, k] += (labels == c).sum()
                sums.cls[c, 1, k] += (labels != c).sum()
                for wrong in labels[(labels != c) & np.isin(labels, classes)]:
                    sums.cls[wrong, 2, k] += 1
    true = matches.sum((1, 2))
    sums.loc[c, 3] += association(matches, gt_count, dt_count, true) * true


def teta_scores(videos: Iterable[TetaSums]) -> dict[str, list[dict[str, float]]]:
    """TETA and its three parts in percent, grouped as the official scores are; NaN where a class has no box.

    Super-categories and OVERALL are averaged over detections, AVERAGE over the classes that are there.
    """
    total = TetaSums.zeros()
    for sums in videos:
        total.loc += sums.loc
        total.cls += sums.cls
    there = [k for k in range(len(TRACK_CLASSES)) if total.loc[k, :3].any()]
    rows = {name: _figures(total, [k]) for k, name in enumerate(TRACK_CLASSES)}
    for name, members in SUPER_CLASSES.items():
        rows[name] = _figures(total, [TRACK_CLASSES.index(m) for m in members])
    means = [np.mean([rows[TRACK_CLASSES[k]][key] for k in there]) if there else np.nan for key in _KEYS]
    rows['AVERAGE'] = dict(zip(_KEYS, map(float, means)))
    rows['OVERALL'] = _figures(total, list(range(len(TRACK_CLASSES))))
    return {key: grouped({name: row[key] for name, row in rows.items()}) for key in _KEYS}


def _figures(total: TetaSums, classes: list[int]) -> dict[str, float]:
    if not total.loc[classes, :3].any():
        return dict.fromkeys(_KEYS, float('nan'))
    true, missed, false, weighted = total.loc[classes].sum(0)
    right, wrong, given = total.cls[classes].sum(0)
    loc = float((true / np.maximum(1, true + missed + false)).mean())
    assoc = float((weighted / np.maximum(1, true)).mean())
    cls = float((right / np.maximum(1, right + wrong + given)).mean())
    return {key: 100 * value for key, value in zip(_KEYS, ((loc + assoc + cls) / 3, loc, assoc, cls))}
