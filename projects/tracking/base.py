"""What trackers share: tracks with a motion, assignment by overlap, and what becomes of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..files.boxes import iou
from . import kalman

#: ``own``: boxes join tracks of their class alone. ``any``: they join tracks of any class and keep their label.
#: ``vote``: as ``any``, and every box gets the label that its track had most of, by score.
CLASSES = ('own', 'any', 'vote')
#: Least IoU with which a box joins a track of another class, and what its value is multiplied by: a label that
#: flickers stays in its place, whereas a rider and the bicycle below are two objects.
OTHER_CLASS, OTHER_VALUE = 0.6, 0.8
#: Of boxes of different classes that overlap by more than this, ``any`` and ``vote`` keep the best.
SAME_OBJECT = 0.7


class Tracked(NamedTuple):
    """The tracked boxes of one frame."""

    ids: np.ndarray  #: (n,) int64 from 1, unique in the video
    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels as detected
    scores: np.ndarray  #: (n,) as detected
    labels: np.ndarray  #: (n,) int64


@dataclass
class Track:
    """One object through the video."""

    id: int
    label: int
    mean: np.ndarray  #: (4, 2) of `kalman`
    covariance: np.ndarray  #: (4, 2, 2)
    seen: float  #: seconds of the video at which its last box was
    confirmed: bool
    votes: dict[int, float] = field(default_factory=dict)
    history: list[tuple[float, np.ndarray]] = field(default_factory=list)  #: times and boxes

    @property
    def winner(self) -> int:
        """The label with the largest sum of scores."""
        return max(self.votes, key=self.votes.get)


def assign(value: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Rows and columns of the one-to-one assignment of the largest total value; pairs below ``least`` are none."""
    if not value.size:
        return []
    value = np.where(value >= least, value, -1e3)
    rows, columns = linear_sum_assignment(-value)
    return [(int(i), int(j)) for i, j in zip(rows, columns) if value[i, j] >= least]


class Tracker:
    """A tracker of boxes: `update` with the detections of one frame after the other.

    Args:
        classes: What becomes of classes, one of ``CLASSES``.
        memory: Seconds for which an object that is not seen is remembered.
        high: Scores from which detections are sure.
        low: Scores below which they are left out.
        init: Scores from which a detection begins a track.
    """

    def __init__(
        self,
        classes: str = 'own',
        memory: float = 1.0,
        high: float = 0.6,
        low: float = 0.1,
        init: float = 0.7,
    ) -> None:
        if classes not in CLASSES:
            raise ValueError(f'classes must be one of {", ".join(CLASSES)}, not {classes!r}')
        if memory <= 0:
            raise ValueError(f'memory={memory}: seconds for which an object is remembered, more than 0')
        self.classes, self.memory = classes, memory
        self.high, self.low, self.init = high, low, init
        self.reset()

    def reset(self) -> None:
        """Begin another video."""
        self.tracks: list[Track] = []
        self.time: float | None = None
        self.count = 0

    def update(
        self,
        boxes: np.ndarray,
        scores: np.ndarray,
        labels: np.ndarray,
        seconds: float,
        motion: np.ndarray | None = None,
    ) -> Tracked:
        """The tracks of a frame's detections.

        Args:
            boxes: (n, 4) x1, y1, x2, y2 in pixels.
            scores: (n,) in [0, 1].
            labels: (n,) classes.
            seconds: The frame's time in the video; every frame is later than the one before.
            motion: (2, 3) how places of the frame before move into this one (``camera``); None is not at all.

        Raises:
            ValueError: The frame is not later than the one before.
        """
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        scores, labels = np.asarray(scores, float), np.asarray(labels, np.int64)
        if self.time is not None and seconds <= self.time:
            raise ValueError(f'a frame at {seconds} s follows one at {self.time} s: times must rise')
        keep = scores >= self.low
        if self.classes != 'own':
            keep &= _best_of_each(boxes, scores)
        boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        if motion is not None:
            self._move(motion)
        self._predict(0.0 if self.time is None else seconds - self.time)
        first, self.time = self.time is None, seconds
        matched = self._match(boxes, scores, labels)
        for track, j in matched:
            self._see(track, boxes[j], scores[j], labels[j])
        taken = {j for _, j in matched}
        new = [j for j in range(len(boxes)) if j not in taken and scores[j] >= self.init]
        for j in new:
            matched.append((self._begin(boxes[j], scores[j], labels[j], first), j))
        found = {id(track) for track, _ in matched}
        self.tracks = [
            track
            for track in self.tracks
            if id(track) in found or (track.confirmed and seconds - track.seen <= self.memory)
        ]
        shown = [(track, j) for track, j in matched if track.confirmed]
        rows = [j for _, j in shown]
        labels = labels[rows]
        if self.classes == 'vote':
            labels = np.array([track.winner for track, _ in shown], np.int64)
        ids = np.array([track.id for track, _ in shown], np.int64)
        return Tracked(ids, boxes[rows], scores[rows], labels)

    def _match(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[tuple[Track, int]]:
        """Pairs of a track and a row of the detections."""
        raise NotImplementedError

    def _overlap(self, tracks: Sequence[Track], boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(n, m) IoU of the places where tracks are expected with detections, as `_by_class`."""
        places = np.array([t.mean[:, 0] for t in tracks]).reshape(-1, 4)
        return self._by_class(iou(kalman.to_boxes(places), boxes), tracks, labels)

    def _by_class(self, overlap: np.ndarray, tracks: Sequence[Track], labels: np.ndarray) -> np.ndarray:
        """(n, m) values of pairs by their IoU and classes; -1 where the classes do not allow it."""
        of_track = np.array([t.label if self.classes == 'own' else t.winner for t in tracks], np.int64)
        same = of_track.reshape(-1, 1) == labels.reshape(1, -1)
        if self.classes == 'own':
            return np.where(same, overlap, -1.0)
        return np.where(same, overlap, np.where(overlap >= OTHER_CLASS, OTHER_VALUE * overlap, -1.0))

    def _predict(self, seconds: float) -> None:
        if not self.tracks or not seconds:
            return
        mean, covariance = self._stacked(self.tracks)
        lost = np.array([track.seen < self.time for track in self.tracks])
        mean[lost, 3, 1] = 0  # a lost object neither grows nor shrinks
        self._store(self.tracks, *kalman.predict(mean, covariance, seconds))

    def _move(self, motion: np.ndarray) -> None:
        """Move the tracks with the camera."""
        scale = float(np.sqrt(abs(np.linalg.det(motion[:, :2]))))
        for track in self.tracks:
            track.mean = track.mean.copy()
            track.mean[:2, 0] = motion[:, :2] @ track.mean[:2, 0] + motion[:, 2]
            track.mean[:2, 1] = motion[:, :2] @ track.mean[:2, 1]
            track.mean[3] *= scale

    def _see(self, track: Track, box: np.ndarray, score: float, label: int) -> None:
        mean, covariance = kalman.update(track.mean[None], track.covariance[None], box[None])
        track.mean, track.covariance = mean[0], covariance[0]
        track.seen, track.confirmed, track.label = self.time, True, int(label)
        track.votes[int(label)] = track.votes.get(int(label), 0.0) + float(score)
        self._remember(track, box)

    def _remember(self, track: Track, box: np.ndarray) -> None:
        """Keep what a tracker needs of a track's past."""

    def _begin(self, box: np.ndarray, score: float, label: int, confirmed: bool) -> Track:
        self.count += 1
        mean, covariance = kalman.begin(box[None])
        label = int(label)
        track = Track(self.count, label, mean[0], covariance[0], self.time, confirmed, {label: float(score)})
        self._remember(track, box)
        self.tracks.append(track)
        return track

    @staticmethod
    def _stacked(tracks: Sequence[Track]) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([t.mean for t in tracks]), np.stack([t.covariance for t in tracks])

    @staticmethod
    def _store(tracks: Sequence[Track], mean: np.ndarray, covariance: np.ndarray) -> None:
        for track, m, c in zip(tracks, mean, covariance):
            track.mean, track.covariance = m, c


def _best_of_each(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(n,) bool: no better box, of whatever class, overlaps it by more than ``SAME_OBJECT``."""
    order = np.argsort(-scores, kind='stable')
    overlaps = iou(boxes, boxes) > SAME_OBJECT
    keep = np.zeros(len(boxes), bool)
    for i in order:
        keep[i] = not (overlaps[i] & keep).any()
    return keep
