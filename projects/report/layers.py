"""Pictures that the page lays over an image: classes, wrong pixels, heat maps, masks of unknown objects."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from .page import Page

#: Colors of classes (RGB), those of Cityscapes.
PALETTE = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142),
    (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
#: Layers are at most so wide; an image is shown larger by the page.
WIDTH = 960
_WRONG, _UNKNOWN, _VOID = (230, 60, 0), (255, 235, 60), (150, 150, 150)


class Painter:
    """Writes layers by the number of their image.

    Args:
        page: Where to.
        number: Of the classes.
    """

    def __init__(self, page: Page, number: int = 0) -> None:
        self._page = page
        self._palette = [PALETTE[k % len(PALETTE)] for k in range(number)]

    def classes(self, folder: str, row: int, labels: np.ndarray) -> None:
        """Class ids (H, W) in colors; what is no class is left clear."""
        number = len(self._palette)
        self._write(folder, row, np.where(labels < number, labels, number), [*self._palette, None])

    def errors(self, folder: str, row: int, truth: np.ndarray, pred: np.ndarray) -> None:
        """The labeled pixels of which another class is predicted."""
        known = truth < len(self._palette)
        self._write(folder, row, (known & (truth != pred)).astype(np.uint8), [None, _WRONG])

    def unknown(self, folder: str, row: int, labels: np.ndarray) -> None:
        """The outline of unknown objects (1), and what is left out (neither 0 nor 1)."""
        shown = np.where(labels > 1, 2, 0).astype(np.uint8)
        thick = max(1, round(labels.shape[1] / 400))
        lines, _ = cv2.findContours((labels == 1).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, lines, -1, 1, thick)
        self._write(folder, row, shown, [None, _UNKNOWN, _VOID])

    def heat(self, folder: str, row: int, values: np.ndarray, scale: tuple[float, float]) -> None:
        """Scores (H, W) in gray, from the lowest (black) to the highest (white) of a scale."""
        low, high = scale
        level = np.clip((values.astype(np.float32) - low) / ((high - low) or 1), 0, 1)
        height = max(1, round(level.shape[0] * min(1, WIDTH / level.shape[1])))
        if level.shape[1] > WIDTH:
            level = cv2.resize(level, (WIDTH, height), interpolation=cv2.INTER_AREA)
        Image.fromarray((255 * level).round().astype(np.uint8)).save(self._place(folder, row), 'PNG')

    def _write(self, folder: str, row: int, rows: np.ndarray, colors: list[tuple | None]) -> None:
        """Rows of a palette as PNG; None is clear."""
        rows = rows.astype(np.uint8)
        if rows.shape[1] > WIDTH:
            size = WIDTH, max(1, round(rows.shape[0] * WIDTH / rows.shape[1]))
            rows = cv2.resize(rows, size, interpolation=cv2.INTER_NEAREST)
        image = Image.fromarray(rows).convert('P')
        image.putpalette([part for color in colors for part in color or (0, 0, 0)])
        clear = bytes(0 if color is None else 255 for color in colors)
        image.save(self._place(folder, row), 'PNG', transparency=clear, optimize=False)

    def _place(self, folder: str, row: int):
        return self._page.picture(f'{folder}/{row}.png')
