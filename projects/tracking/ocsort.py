"""OC-SORT (Cao et al., CVPR 2023): tracks that trust what was observed more than what was predicted."""

from __future__ import annotations

import numpy as np

from ..files.boxes import iou
from . import kalman
from .base import Track, Tracker, assign


class OCSort(Tracker):
    """Association by overlap and by the direction of motion, a second try with the last boxes, and a
    correction of the motion where an object is found again.

    Args:
        **kwargs: As `Tracker`.
        match: Least IoU of detections with tracks.
        inertia: Weight of the direction in the cost.
        span: Seconds over which the direction is taken.
    """

    def __init__(
        self, *, match: float = 0.3, inertia: float = 0.2, span: float = 0.1, high: float = 0.3, **kwargs
    ) -> None:
        super().__init__(high=high, **kwargs)
        self.match, self.inertia, self.span = match, inertia, span

    def _match(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[tuple[Track, int]]:
        rows = np.flatnonzero(scores >= self.high)
        overlap = self._overlap(self.tracks, boxes[rows], labels[rows])
        direction = self._direction(boxes[rows]) * scores[rows] * self.inertia
        value = np.where(overlap >= self.match, overlap + direction, -np.inf)
        pairs = [(i, int(rows[j])) for i, j in assign(value, -1.0)]
        # Observation-centric recovery: the rest against the boxes that were seen last.
        tracks = sorted(set(range(len(self.tracks))) - {i for i, _ in pairs})
        rows = np.setdiff1d(rows, [j for _, j in pairs])
        left = [self.tracks[i] for i in tracks]
        last = np.array([track.history[-1][1] for track in left]).reshape(-1, 4)
        value = self._by_class(iou(last, boxes[rows]), left, labels[rows])
        pairs += [(tracks[i], int(rows[j])) for i, j in assign(value, self.match)]
        return [(self.tracks[i], j) for i, j in pairs]

    def _direction(self, boxes: np.ndarray) -> np.ndarray:
        """(n, m) how well the way to a detection keeps a track's direction: from -0.5, against it, to 0.5."""
        out = np.zeros((len(self.tracks), len(boxes)))
        ends = _middle(boxes)
        for i, track in enumerate(self.tracks):
            past = [box for time, box in track.history if self.time - time >= self.span]
            if len(track.history) < 2 or not past:
                continue
            start = _middle(past[-1][None])[0]
            way = _middle(track.history[-1][1][None])[0] - _middle(track.history[-2][1][None])[0]
            out[i] = 0.5 - _angle(way, ends - start) / np.pi
        return out

    def _remember(self, track: Track, box: np.ndarray) -> None:
        track.history.append((self.time, box))
        del track.history[:-8]

    def _see(self, track: Track, box: np.ndarray, score: float, label: int) -> None:
        gap = self.time - track.seen
        frames = round(gap / self._step) if self._step else 1
        if frames > 1:  # observation-centric re-update: as if it had moved evenly while it was not seen
            _, last = track.history[-1]
            mean, covariance = self._at_last[id(track)]
            for k in range(1, frames):
                mean, covariance = kalman.predict(mean, covariance, self._step)
                between = last + (box - last) * k / frames
                mean, covariance = kalman.update(mean, covariance, between[None])
            mean, covariance = kalman.predict(mean, covariance, self._step)
            track.mean, track.covariance = mean[0], covariance[0]
        super()._see(track, box, score, label)
        self._at_last[id(track)] = track.mean[None], track.covariance[None]

    def _begin(self, box: np.ndarray, score: float, label: int, confirmed: bool) -> Track:
        track = super()._begin(box, score, label, confirmed)
        self._at_last[id(track)] = track.mean[None], track.covariance[None]
        return track

    def reset(self) -> None:
        super().reset()
        self._step = 0.0
        self._at_last: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # filters right after the last box

    def _predict(self, seconds: float) -> None:
        self._step = seconds
        alive = {id(track) for track in self.tracks}
        self._at_last = {key: value for key, value in self._at_last.items() if key in alive}
        super()._predict(seconds)


def _middle(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _angle(way: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """(m,) radians between a direction and others, 0 to pi; a right angle where there is no direction."""
    length = np.linalg.norm(way) * np.linalg.norm(ways, axis=1)
    cosine = np.divide(ways @ way, length, out=np.zeros(len(ways)), where=length > 0)
    return np.arccos(np.clip(cosine, -1, 1))
