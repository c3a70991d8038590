"""What HOTA and TETA share: similarities of the boxes of a frame, and how well whole tracks lie on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assignment import linear_sum_assignment
from .clear import Boxes, intersection_over_area, iou
from .track_pairing import VideoData

#: Thresholds are compared with this slack, as TrackEval and TETA do.
EPS = np.finfo('float').eps


@dataclass
class Frame:
    """The boxes of one frame; tracks are numbered from 0 within what is scored together."""

    gt_track: np.ndarray  #: (g,)
    dt_track: np.ndarray  #: (d,)
    gt_category: np.ndarray  #: (g,)
    dt_category: np.ndarray  #: (d,)
    similarity: np.ndarray  #: (g, d) IoU

    def where(self, gt: np.ndarray, dt: np.ndarray) -> Frame:
        """Some of the boxes."""
        return Frame(
            self.gt_track[gt],
            self.dt_track[dt],
            self.gt_category[gt],
            self.dt_category[dt],
            self.similarity[gt][:, dt],
        )


def frames_of(data: VideoData, per_class: bool, inclusive: bool) -> list[Frame]:
    """The frames of a video without the predictions in ignored boxes.

    Args:
        data: The video.
        per_class: Predictions belong to boxes of their class alone when it is decided which lie in ignored boxes
            without being right.
        inclusive: x2 and y2 lie inside the box, so that it is x2 - x1 + 1 wide.
    """
    less = 0 if inclusive else 1
    gt, dt = _sides(data.gt, less), _sides(data.dt, less)
    ignored = data.ignored[0] - np.array([0, 0, less, less])
    bounds = [
        np.searchsorted(frames, np.arange(data.num_frames + 1))
        for frames in (data.gt.frame, data.dt.frame, data.ignored[1])
    ]
    out = []
    for t in range(data.num_frames):
        g, d, i = (slice(*bound[t : t + 2]) for bound in bounds)
        frame = Frame(
            data.gt.track[g], data.dt.track[d], data.gt.category[g], data.dt.category[d], _iou(gt[g], dt[d])
        )
        if i.stop > i.start and d.stop > d.start:
            lies = _matrix(intersection_over_area, dt[d], ignored[i]) > 0.5 + EPS
            keep = ~lies.any(1) | _is_right(frame, per_class)
            frame = frame.where(np.ones(len(frame.gt_track), bool), keep)
        out.append(frame)
    return out


def _sides(boxes: Boxes, less: int) -> np.ndarray:
    return boxes.xywh - np.array([0, 0, less, less])


def _matrix(measure, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) measure of each of n boxes with each of m."""
    rows, columns = np.repeat(np.arange(len(a)), len(b)), np.tile(np.arange(len(b)), len(a))
    return measure(a[rows], b[columns]).reshape(len(a), len(b))


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _matrix(iou, a, b)


def _is_right(frame: Frame, per_class: bool) -> np.ndarray:
    """(d,) bool, the predictions of the one-to-one assignment with an IoU of at least 0.5."""
    score = np.where(frame.similarity < 0.5 - EPS, 0, frame.similarity)
    right = np.zeros(len(frame.dt_track), bool)
    groups = np.unique(frame.dt_category) if per_class else [None]
    for category in groups:
        g = np.flatnonzero(frame.gt_category == category) if per_class else np.arange(len(frame.gt_track))
        d = np.flatnonzero(frame.dt_category == category) if per_class else np.arange(len(frame.dt_track))
        part = score[np.ix_(g, d)]
        rows, columns = linear_sum_assignment(-part)
        right[d[columns[part[rows, columns] > EPS]]] = True
    return right


def renumbered(frames: list[Frame]) -> tuple[list[Frame], int, int]:
    """The frames with their tracks numbered from 0 without gaps, and how many there are of each kind."""
    out = []
    gt_ids = np.unique(np.concatenate([f.gt_track for f in frames]))
    dt_ids = np.unique(np.concatenate([f.dt_track for f in frames]))
    for f in frames:
        gt, dt = np.searchsorted(gt_ids, f.gt_track), np.searchsorted(dt_ids, f.dt_track)
        out.append(Frame(gt, dt, f.gt_category, f.dt_category, f.similarity))
    return out, len(gt_ids), len(dt_ids)


def alignment(frames: list[Frame], num_gt: int, num_dt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well tracks lie on each other over the video (HOTA, Luiten et al. 2021, section 5).

    Returns:
        (num_gt, num_dt) Jaccard index of the frames of two tracks, weighted by their IoU; (num_gt, 1) and
        (1, num_dt) frames of each track.
    """
    potential = np.zeros((num_gt, num_dt))
    gt_count, dt_count = np.zeros((num_gt, 1)), np.zeros((1, num_dt))
    for f in frames:
        similarity = f.similarity
        total = similarity.sum(0)[None] + similarity.sum(1)[:, None] - similarity
        share = np.divide(similarity, total, out=np.zeros_like(similarity), where=total > EPS)
        potential[f.gt_track[:, None], f.dt_track[None]] += share
        gt_count[f.gt_track] += 1
        dt_count[0, f.dt_track] += 1
    return potential / (gt_count + dt_count - potential), gt_count, dt_count


def best_pairs(frame: Frame, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and IoU of the one-to-one assignment that maximizes alignment times IoU."""
    value = score[frame.gt_track[:, None], frame.dt_track[None]] * frame.similarity
    rows, columns = linear_sum_assignment(-value)
    return rows, columns, frame.similarity[rows, columns]


def association(
    matches: np.ndarray, gt_count: np.ndarray, dt_count: np.ndarray, num_matches: np.ndarray
) -> np.ndarray:
    """(alphas,) association accuracy: the mean over matches of TPA / (TPA + FNA + FPA)."""
    share = matches / np.maximum(1, gt_count + dt_count - matches)
    return (matches * share).sum((1, 2)) / np.maximum(1, num_matches)
