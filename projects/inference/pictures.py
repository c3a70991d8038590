"""Legends of pictures: the classes that are there, by their colors."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX


def legend(
    labels: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    width: int,
    height: int,
) -> np.ndarray:
    """The classes of a map by their colors, the largest first, in rows of a width.

    Pictures of one size and one list of classes have legends of one size, as the frames of a video must: with room
    for the longest 30 names, but for no more than two fifths of the picture's height. What does not fit is left out,
    the smallest classes first.

    Args:
        labels: (H, W) class indices; those outside ``classes`` are left out.
        classes, palette: Names and RGB colors.
        width, height: The picture's, in pixels.

    Returns:
        (rows, width, 3) BGR uint8, white.
    """
    scale = float(np.clip(width / 1600, 0.35, 0.7))
    (_, letter), base = cv2.getTextSize('Ag', FONT, scale, 1)
    step = letter + base + 6
    widths = [letter + 20 + cv2.getTextSize(name, FONT, scale, 1)[0][0] for name in classes]
    rows, filled = 1, 4
    for needed in sorted(widths)[-30:]:
        rows, filled = (rows, filled + needed) if filled + needed <= width else (rows + 1, 4 + needed)
    rows = int(np.clip(rows, 1, max(2, height * 2 // 5 // step)))
    counts = np.bincount(labels.ravel(), minlength=len(classes))[: len(classes)]
    places, x, y = [], 4, 0
    for label in [label for label in np.argsort(-counts, kind='stable').tolist() if counts[label]]:
        if x > 4 and x + widths[label] > width:
            x, y = 4, y + 1
        places.append((label, x, y))
        x += widths[label]
    strip = np.full((step * rows, width, 3), 255, np.uint8)
    for label, x, y in places:
        top = y * step + 3
        if top + letter > len(strip):
            break
        color = tuple(int(c) for c in palette[label][::-1])
        cv2.rectangle(strip, (x, top), (x + letter, top + letter), color, -1)
        cv2.rectangle(strip, (x, top), (x + letter, top + letter), (96, 96, 96), 1)
        place = (x + letter + 6, top + letter)
        cv2.putText(strip, classes[label], place, FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def with_legend(
    picture: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """A picture (H, W, 3) with the legend of its map below; see `legend`."""
    return np.vstack([picture, legend(labels, classes, palette, *picture.shape[1::-1])])
