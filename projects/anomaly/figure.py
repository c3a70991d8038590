"""A picture of anomaly scores side by side on the same images, with their histograms and curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files import replacing
from .result import PixelScores


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 with outliers (1) tinted orange and ignored pixels black."""
    out = image.astype(float)
    out[mask == 1] = 0.5 * out[mask == 1] + 0.5 * np.array([255, 128, 0])
    out[(mask != 0) & (mask != 1)] = 0
    return out.astype(np.uint8)


def excess(image: np.ndarray, score: np.ndarray, threshold: float, highest: float) -> np.ndarray:
    """The image in gray, red by how far the score (H, W) exceeds the threshold."""
    gray = image.mean(2) / 255 * 0.6
    red = np.clip((score - threshold) / max(highest - threshold, 1e-12), 0, 1)
    # a pixel at the threshold is visibly red already
    red = np.where(score >= threshold, 0.3 + 0.7 * red, 0)
    picture = np.stack([gray + (1 - gray) * red, gray * (1 - red), gray * (1 - red)], 2)
    return (picture * 255).astype(np.uint8)


def draw(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    scores: Sequence[dict[str, np.ndarray]],
    measured: dict[str, PixelScores],
    out: str | Path,
) -> None:
    """Rows of images, columns of scores, thresholded at 95 % TPR; the last rows hold the curves.

    Args:
        images: (H, W, 3) uint8 RGB each.
        masks: (H, W) each: 0 in, 1 out, else ignored.
        scores: The scores (H, W) of each image, by name.
        measured: The metrics of every score over the whole data set.
        out: A picture file; its ending is the format.
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    names = list(measured)
    highest = {name: max(float(of_image[name].max()) for of_image in scores) for name in names}
    height = images[0].shape[0] / images[0].shape[1]
    rows, columns = len(images) + 2, len(names) + 1
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3 * columns, 3 * height * len(images) + 5),
        squeeze=False,
        gridspec_kw=dict(height_ratios=[height] * len(images) + [0.8, 0.8]),
        layout='constrained',
    )
    for row, (image, mask, of_image) in enumerate(zip(images, masks, scores, strict=True)):
        axes[row, 0].imshow(overlay(image, mask))
        for axis, name in zip(axes[row, 1:], names, strict=True):
            axis.imshow(excess(image, of_image[name], measured[name].at_95.threshold, highest[name]))
    for axis in axes[: len(images)].flat:
        axis.set_axis_off()
    axes[0, 0].set_title('outliers orange, ignored black')
    for axis, name in zip(axes[0, 1:], names, strict=True):
        s = measured[name]
        numbers = f'FPR95 {100 * s.at_95.fpr:.1f}  AP {100 * s.ap:.1f}  AUROC {100 * s.auroc:.1f}'
        axis.set_title(f'{name}\n{numbers}', fontsize=9)
    _draw_curves(axes[-2:], names, measured, masks, scores)
    with replacing(out) as part:
        figure.savefig(part, dpi=110)
    plt.close(figure)


def _draw_curves(axes, names, measured, masks, scores) -> None:
    roc, pr = axes[0, 0], axes[1, 0]
    for name in names:
        points = measured[name].curve
        roc.plot([0, *(p.fpr for p in points), 1], [0, *(p.tpr for p in points), 1], label=name)
        pr.plot([p.tpr for p in points], [measured[name].precision(p) for p in points], label=name)
    roc.axhline(0.95, color='gray', linewidth=0.5)
    roc.set(xlabel='FPR', ylabel='TPR', title='ROC')
    pr.set(xlabel='recall', ylabel='precision', title='precision and recall')
    roc.legend(fontsize=7)
    for column, name in enumerate(names, 1):
        axis = axes[0, column]
        values = np.concatenate([s[name].ravel() for s in scores])
        truth = np.concatenate([m.ravel() for m in masks])
        bins = np.linspace(values.min(), values.max() + 1e-12, 60)
        for label, title in ((0, 'in'), (1, 'out')):
            if (truth == label).any():
                axis.hist(values[truth == label], bins, density=True, alpha=0.6, label=title)
        axis.axvline(measured[name].at_95.threshold, color='red', linewidth=0.8)
        axis.set_title('of the images above', fontsize=8)
        axis.legend(fontsize=7)
        axes[1, column].set_axis_off()
