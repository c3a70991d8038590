"""Pictures of boxes over images: predictions beside the ground truth, and contact sheets."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .scalabel import DET_CLASSES, IGNORE_MAPPING, NAME_MAPPING, Box2D, Label

#: BGR colors of the classes, bright enough for pictures taken at night.
COLORS = (
    (80, 80, 255),
    (60, 150, 255),
    (255, 170, 60),
    (255, 90, 130),
    (230, 220, 60),
    (200, 120, 200),
    (255, 60, 255),
    (140, 255, 140),
    (60, 230, 255),
    (90, 255, 220),
)
GRAY, OTHER = (150, 150, 150), (255, 255, 255)
TITLE = 18  # height of a title's strip, pixels


def is_ignored(label: Label) -> bool:
    """Whether a label of the ground truth is a region that is not evaluated."""
    attributes = label.attributes or {}
    return bool(label.category in IGNORE_MAPPING or attributes.get('crowd') or attributes.get('ignored'))


def draw_labels(image: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """A copy of an image with the boxes, names and scores of its labels.

    Args:
        image: (H, W, 3) uint8 BGR.
        labels: Those without a ``box2d`` are left out; ignored regions are gray.
    """
    canvas = image.copy()
    thickness = max(1, round(image.shape[1] / 640))
    for label in sorted(labels, key=lambda label: label.score or 0):
        if label.box2d is None:
            continue
        name = label.category or '(no category)'
        known = NAME_MAPPING.get(name, name)
        color = COLORS[DET_CLASSES.index(known)] if known in DET_CLASSES else OTHER
        color = GRAY if is_ignored(label) else color
        box = label.box2d
        assert isinstance(box, Box2D)  # `Label` makes it of a list
        far = 4 * max(canvas.shape)  # OpenCV takes no coordinates beyond 32 bits
        x1, y1, x2, y2 = (round(min(max(v, -far), far)) for v in (box.x1, box.y1, box.x2, box.y2))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, thickness)
        text = name if label.score is None else f'{name} {label.score:.2f}'
        scale = max(0.3, image.shape[1] / 3200)
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        left = min(max(x1, 0), max(canvas.shape[1] - width, 0))
        low = y1 - 2 if y1 - height - 4 >= 0 else min(y1 + height + 3, len(canvas) - 2)
        cv2.rectangle(canvas, (left, low - height - 2), (left + width, low + 2), color, -1)
        cv2.putText(canvas, text, (left, low), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def titled(image: np.ndarray, title: str) -> np.ndarray:
    """The image below a strip with a title, ``TITLE`` pixels high."""
    strip = np.full((TITLE, image.shape[1], 3), 30, np.uint8)
    cv2.putText(strip, title, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([strip, image])


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels of one size in a row (in a column where they are wide) with a line between them."""
    across = panels[0].shape[1] < 2.2 * len(panels[0])
    line = np.full((len(panels[0]), 3, 3) if across else (3, panels[0].shape[1], 3), 255, np.uint8)
    parts = [part for panel in panels for part in (panel, line)][:-1]
    return np.hstack(parts) if across else np.vstack(parts)


def contact_sheet(pictures: Sequence[np.ndarray], columns: int, width: int) -> np.ndarray:
    """Pictures of any size, each scaled to ``width`` pixels, in rows of ``columns``."""
    tiles = [
        cv2.resize(p, (width, max(1, round(len(p) * width / p.shape[1]))), cv2.INTER_AREA) for p in pictures
    ]
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        height = max(map(len, row))
        canvas = np.zeros((height, width * min(columns, len(tiles)), 3), np.uint8)
        for k, tile in enumerate(row):
            canvas[: len(tile), k * width : (k + 1) * width] = tile
        rows.append(canvas)
    return np.vstack(rows)
