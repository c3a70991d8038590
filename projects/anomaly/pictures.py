"""Pictures of a prediction: image, classes, anomaly heat map, ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

BAR = 60  # width of the color bar, pixels
OUTLIER, OUTLIER_COLOR = 254, (255, 102, 0)  # pasted outliers in label maps, and their color (RGB)


def overlay_classes(
    image: np.ndarray,
    classes: np.ndarray,
    palette: Sequence[Sequence[int]] | np.ndarray,
    opacity: float = 0.6,
) -> np.ndarray:
    """A frame (H, W, 3) BGR uint8 under the colors (RGB) of its classes (H, W); those outside the palette leave
    it as it is."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = np.array(palette, np.uint8)[:, ::-1]
    over = cv2.addWeighted(image, 1 - opacity, table[classes], opacity, 0)
    return np.where(classes[..., None] < len(palette), over, image)


def truth_picture(image: np.ndarray, labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """A training image (H, W, 3) BGR uint8 under its label map (H, W), pasted outliers (254) in orange with a
    white outline."""
    table = np.zeros((OUTLIER + 1, 3), np.uint8)
    table[: len(palette)] = palette
    table[OUTLIER] = OUTLIER_COLOR
    outliers = labels == OUTLIER
    shown = np.where((labels < len(palette)) | outliers, labels, 255)
    picture = np.ascontiguousarray(overlay_classes(image, shown, table))
    contours, _ = cv2.findContours(outliers.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(picture, contours, -1, (255, 255, 255), max(1, len(image) // 400))


def heat_map(anomaly: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """An anomaly map (H, W) in colors (BGR uint8), the same color for the same score in every picture.

    Args:
        scale: The scores of the coldest and of the hottest color; scores beyond are clipped.
    """
    low, high = scale
    if not low < high:
        raise ValueError(f'scale is {scale}: the first score must be the lower one')
    level = np.clip((anomaly - low) / (high - low), 0, 1)
    return cv2.applyColorMap((255 * level).round().astype(np.uint8), cv2.COLORMAP_TURBO)


def color_bar(height: int, scale: tuple[float, float], threshold: float | None = None) -> np.ndarray:
    """A bar (height, BAR, 3) of the heat map's colors with its end scores and a threshold's mark."""
    levels = np.linspace(scale[1], scale[0], height)
    bar = np.full((height, BAR, 3), 255, np.uint8)
    bar[:, :15] = heat_map(levels[:, None], scale)

    def text(value: float, row: int) -> None:
        cv2.putText(bar, f'{value:.3g}', (18, row), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1, cv2.LINE_AA)

    text(scale[1], 10)
    text(scale[0], height - 3)
    if threshold is not None and scale[0] < threshold < scale[1]:
        row = int(np.abs(levels - threshold).argmin())
        bar[row, :15] = 255
        text(threshold, int(np.clip(row + 4, 22, height - 15)))
    return bar


def anomaly_picture(
    image: np.ndarray,
    anomaly: np.ndarray,
    scale: tuple[float, float],
    threshold: float | None = None,
    classes: np.ndarray | None = None,
    palette: Sequence[Sequence[int]] = (),
    gt: np.ndarray | None = None,
) -> np.ndarray:
    """Image, classes over it, the heat map with its color bar and the ground truth, side by side.

    Args:
        image: (H, W, 3) uint8 BGR.
        anomaly: (H, W) scores.
        scale: See `heat_map`.
        threshold: Scores above it are outlined in white, such as the threshold of 95 % true positives.
        classes, palette: (H, W) class indices and the classes' RGB colors.
        gt: (H, W), 0 inlier, 1 anomaly, 255 void; drawn in black, white and gray.

    Returns:
        (H, 2 W + BAR, 3) uint8 BGR, W wider with ``classes`` and with ``gt``.
    """
    maps = dict(anomaly=anomaly, classes=classes, gt=gt)
    for name, values in maps.items():
        if values is not None and values.shape != image.shape[:2]:
            raise ValueError(f'{name} {values.shape} and image {image.shape} differ in size')
    panels = [image, heat_map(anomaly, scale)]
    if classes is not None:
        colors = np.array(palette, np.uint8)[classes][..., ::-1]
        panels.insert(1, cv2.addWeighted(image, 0.4, np.ascontiguousarray(colors), 0.6, 0))
    if threshold is not None:
        contours, _ = cv2.findContours(
            (anomaly > threshold).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
        )
        for panel in panels[1:]:
            cv2.drawContours(panel, contours, -1, (255, 255, 255), max(1, len(image) // 400))
    panels.append(color_bar(len(image), scale, threshold))
    if gt is not None:
        gray = np.choose(np.where(gt == 255, 2, gt), [0, 255, 128]).astype(np.uint8)
        panels.append(np.repeat(gray[..., None], 3, -1))
    return np.concatenate(panels, 1)
