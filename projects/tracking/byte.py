"""ByteTrack (Zhang et al., ECCV 2022): sure detections first, then the unsure ones for the tracks that are left."""

from __future__ import annotations

import numpy as np

from .base import Track, Tracker, assign


class ByteTracker(Tracker):
    """Association by overlap with where a Kalman filter expects the tracks.

    Args:
        **kwargs: As `Tracker`.
        match: Least IoU times score of sure detections with tracks.
        match_low: Least IoU of unsure detections with tracks that were seen in the frame before.
        match_new: Least IoU times score of detections with tracks that have one box yet.
    """

    def __init__(
        self, *, match: float = 0.1, match_low: float = 0.5, match_new: float = 0.3, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.match, self.match_low, self.match_new = match, match_low, match_new

    def reset(self) -> None:
        super().reset()
        self._before: float | None = None

    def _match(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[tuple[Track, int]]:
        old = [track for track in self.tracks if track.confirmed]
        new = [track for track in self.tracks if not track.confirmed]
        sure = np.flatnonzero(scores >= self.high)
        unsure = np.flatnonzero(scores < self.high)
        pairs = self._pairs(old, sure, boxes, labels, self.match, scores)
        left = [track for track in _without(old, pairs) if track.seen == self._before]
        pairs += self._pairs(left, unsure, boxes, labels, self.match_low)
        sure = np.setdiff1d(sure, [j for _, j in pairs])
        pairs += self._pairs(new, sure, boxes, labels, self.match_new, scores)
        self._before = self.time
        return pairs

    def _pairs(
        self,
        tracks: list[Track],
        rows: np.ndarray,
        boxes: np.ndarray,
        labels: np.ndarray,
        least: float,
        scores: np.ndarray | None = None,
    ) -> list[tuple[Track, int]]:
        value = self._overlap(tracks, boxes[rows], labels[rows])
        if scores is not None:
            value = value * scores[rows]
        return [(tracks[i], int(rows[j])) for i, j in assign(value, least)]


def _without(tracks: list[Track], pairs: list[tuple[Track, int]]) -> list[Track]:
    matched = {id(track) for track, _ in pairs}
    return [track for track in tracks if id(track) not in matched]
