"""Scores side by side on the same images, and their histograms, ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files import replacing


class Curves(NamedTuple):
    """One score over all images; outliers are positive.

    Attributes:
        fpr, tpr, precision: One point per distinct score, from the highest down.
        threshold: The scores of these points.
        auroc, ap, fpr95: In [0, 1]; fpr95 at the first point with TPR >= .95.
        threshold95: The score of that point.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray
    auroc: float
    ap: float
    fpr95: float
    threshold95: float


def curves(score: np.ndarray, outlier: np.ndarray) -> Curves:
    """Exact curves of scores (n,) and their truth (n,) bool; ties count together.

    Raises:
        ValueError: There are pixels of one kind only, or a score is NaN.
    """
    score = np.asarray(score)
    if score.dtype not in (np.float32, np.float64):  # negative values of small integers would wrap around
        score = score.astype(np.float32 if score.dtype == np.float16 else np.float64)
    if np.isnan(score).any():
        raise ValueError(f'{np.isnan(score).sum()} of {len(score)} scores are NaN')
    positives = int(outlier.sum())
    if positives in (0, len(outlier)):
        raise ValueError(f'{positives} of {len(outlier)} pixels are outliers: both kinds are needed')
    order = np.argsort(-score, kind='stable')
    value = score[order]
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)
    tp = np.cumsum(outlier[order])[last]
    fp = last + 1 - tp
    tpr, fpr, precision = tp / positives, fp / (len(outlier) - positives), tp / (tp + fp)
    first = int(np.argmax(tpr >= 0.95))
    gained = np.diff(tpr, prepend=0)
    return Curves(
        fpr,
        tpr,
        precision,
        value[last],
        float(np.sum(np.diff(fpr, prepend=0) * (tpr - gained / 2))),
        float(np.sum(gained * precision)),
        float(fpr[first]),
        float(value[last][first]),
    )


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 with outliers (1) tinted orange and ignored pixels black."""
    out = image.astype(float)
    out[mask == 1] = 0.5 * out[mask == 1] + 0.5 * np.array([255, 128, 0])
    out[(mask != 0) & (mask != 1)] = 0
    return out.astype(np.uint8)


def excess(image: np.ndarray, score: np.ndarray, threshold: float, highest: float) -> np.ndarray:
    """The image in grey, red by how far the score (H, W) exceeds the threshold."""
    grey = image.mean(2) / 255 * 0.6
    red = np.clip((score - threshold) / max(highest - threshold, 1e-12), 0, 1)
    # what is above the threshold at all is to be seen
    red = np.where(score >= threshold, 0.3 + 0.7 * red, 0)
    picture = np.stack([grey + (1 - grey) * red, grey * (1 - red), grey * (1 - red)], 2)
    return (picture * 255).astype(np.uint8)


def draw(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    scores: Sequence[dict[str, np.ndarray]],
    measured: dict[str, Curves],
    out: str | Path,
) -> None:
    """Rows of images, columns of scores, thresholded at 95 % TPR; the last rows hold the curves.

    Args:
        images: (H, W, 3) uint8 RGB each.
        masks: (H, W) each: 0 in, 1 out, else ignored.
        scores: Of each image every score (H, W).
        measured: :func:`curves` of every score over the whole data set.
        out: A picture file; its ending is the format.
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    names = list(measured)
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
            highest = float(measured[name].threshold[0])
            axis.imshow(excess(image, of_image[name], measured[name].threshold95, highest))
    for axis in axes[: len(images)].flat:
        axis.set_axis_off()
    axes[0, 0].set_title('outliers orange, ignored black')
    for axis, name in zip(axes[0, 1:], names, strict=True):
        c = measured[name]
        axis.set_title(
            f'{name}\nFPR95 {100 * c.fpr95:.1f}  AP {100 * c.ap:.1f}  AUROC {100 * c.auroc:.1f}', fontsize=9
        )
    _draw_curves(axes[-2:], names, measured, masks, scores)
    with replacing(out) as part:
        figure.savefig(part, dpi=110)
    plt.close(figure)


def _draw_curves(axes, names, measured, masks, scores) -> None:
    roc, pr = axes[0, 0], axes[1, 0]
    for name in names:
        c = measured[name]
        thin = slice(None, None, max(1, len(c.tpr) // 2000))
        roc.plot(np.append(0, c.fpr[thin]), np.append(0, c.tpr[thin]), label=name)
        pr.plot(c.tpr[thin], c.precision[thin], label=name)
    roc.axhline(0.95, color='grey', linewidth=0.5)
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
        axis.axvline(measured[name].threshold95, color='red', linewidth=0.8)
        axis.set_title('of the images above', fontsize=8)
        axis.legend(fontsize=7)
        axes[1, column].set_axis_off()
