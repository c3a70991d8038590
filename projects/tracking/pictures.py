"""Pictures of tracks: boxes in a color of their own, with ids and the way they came."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np


def color_of(track: int) -> tuple[int, int, int]:
    """A BGR color for an id; ids that follow each other differ well."""
    hue = track * 0.61803399 % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (track % 2), 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


class TrailPainter:
    """Draws the frames of one video.

    Args:
        length: Frames that a trail reaches back.
    """

    def __init__(self, length: int = 15) -> None:
        self.length = length
        self._trails: dict[int, list[tuple[int, tuple[int, int]]]] = {}
        self._frame = 0

    def draw(
        self, image: np.ndarray, ids: Sequence[int], boxes: np.ndarray, names: Sequence[str]
    ) -> np.ndarray:
        """A copy of the image with boxes, ids, classes and trails of the middle of the boxes' lower sides.

        Args:
            image: (H, W, 3) BGR uint8.
            ids, boxes, names: (n,) tracks, (n, 4) x1, y1, x2, y2, (n,) classes.
        """
        canvas = image.copy()
        thick = max(1, round(image.shape[1] / 640))
        self._frame += 1
        for track, (x1, _, x2, y2) in zip(ids, boxes.tolist()):
            self._trails.setdefault(track, []).append((self._frame, (round((x1 + x2) / 2), round(y2))))
        self._trails = {
            track: kept
            for track, trail in self._trails.items()
            if (kept := [p for p in trail if p[0] > self._frame - self.length])
        }
        for track in ids:
            points = np.array([point for _, point in self._trails[track]], np.int32)
            cv2.polylines(canvas, [points], False, color_of(track), thick, cv2.LINE_AA)
        for track, (x1, y1, x2, y2), name in zip(ids, boxes.round().astype(int).tolist(), names):
            self._box(canvas, (x1, y1, x2, y2), f'{track} {name}', color_of(track), thick)
        return canvas

    @staticmethod
    def _box(canvas: np.ndarray, box: tuple, text: str, color: tuple, thick: int) -> None:
        x1, y1, x2, y2 = box
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, thick)
        scale = max(0.3, canvas.shape[1] / 3200)
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        left = min(max(x1, 0), max(canvas.shape[1] - width, 0))
        low = y1 - 2 if y1 - height - 4 >= 0 else min(max(y1, 0) + height + 3, len(canvas) - 2)
        cv2.rectangle(canvas, (left, low - height - 2), (left + width, low + 2), color, -1)
        cv2.putText(canvas, text, (left, low), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
