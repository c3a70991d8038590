"""Boxes drawn over images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .scalabel import DET_CLASSES

#: BGR, one a class.
COLORS = [
    (60, 20, 220),
    (0, 120, 255),
    (200, 120, 0),
    (180, 0, 90),
    (100, 60, 0),
    (120, 120, 0),
    (230, 0, 160),
    (30, 160, 30),
    (30, 200, 250),
    (0, 220, 220),
]


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[int],
    scores: Sequence[float] | None = None,
    classes: Sequence[str] = DET_CLASSES,
) -> np.ndarray:
    """A copy of a BGR image with boxes (n, 4) x1, y1, x2, y2 in pixels and their names."""
    image = image.copy()
    thick = max(1, round(min(image.shape[:2]) / 360))
    size = max(0.35, min(image.shape[:2]) / 1100)
    for k, (box, label) in enumerate(zip(np.asarray(boxes).round().astype(int).tolist(), labels)):
        color = COLORS[label % len(COLORS)]
        cv2.rectangle(image, tuple(box[:2]), tuple(box[2:]), color, thick)
        text = classes[label] + ('' if scores is None else f' {scores[k]:.2f}')
        (w, h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        x, y = max(0, min(box[0], image.shape[1] - w)), max(box[1], h + base)
        cv2.rectangle(image, (x, y - h - base), (x + w, y), color, -1)
        cv2.putText(
            image, text, (x, y - base // 2), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA
        )
    return image
