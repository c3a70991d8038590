"""More than scores: the confusion matrix and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...files import replacing, write_text
from ..scalabel import DET_CLASSES
from .det import IOU_THRESHOLDS, Matchable, _accumulate


def confusion_matrix(data: Matchable, score: float = 0.3, iou: float = 0.5) -> np.ndarray:
    """(K + 1, K + 1) counts: rows the ground truth's class, columns the prediction's, last "none".

    Predictions from ``score`` on are matched, best first, to the free box of any class that they
    overlap most, from IoU ``iou`` on. Crowd boxes are left out, and so are predictions on them: those without
    a box that lie in a crowd box of any class by ``iou`` of their own area, as COCO measures it.
    """
    none = len(data.classes)
    matrix = np.zeros((none + 1, none + 1), np.int64)
    gt_first = np.searchsorted(data.gt_image, np.arange(1, data.num_images + 2))
    dt_first = np.searchsorted(data.dt_image, np.arange(1, data.num_images + 2))
    for i in range(data.num_images):
        g, d = slice(gt_first[i], gt_first[i + 1]), slice(dt_first[i], dt_first[i + 1])
        order = np.argsort(-data.dt_score[d], kind='stable')
        order = order[data.dt_score[d][order] >= score]
        crowd, boxes = data.gt_crowd[g], data.dt_bbox[d][order]
        overlap = _overlap(boxes, data.gt_bbox[g][~crowd])
        in_crowd = (_overlap(boxes, data.gt_bbox[g][crowd], of_first=True) >= iou).any(1)
        gt_class, dt_class = data.gt_category[g][~crowd] - 1, data.dt_category[d][order] - 1
        free = np.ones(len(gt_class), bool)
        for k in range(len(order)):
            candidates = np.where(free, overlap[k], -1)
            best = int(candidates.argmax()) if len(candidates) else -1
            if best >= 0 and candidates[best] >= iou:
                free[best] = False
                matrix[gt_class[best], dt_class[k]] += 1
            elif not in_crowd[k]:
                matrix[none, dt_class[k]] += 1
        np.add.at(matrix[:, none], gt_class[free], 1)
    return matrix


def _overlap(a: np.ndarray, b: np.ndarray, of_first: bool = False) -> np.ndarray:
    """(n, m) IoU of boxes x, y, width, height, or the intersection as a part of the first's area."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    inter = np.clip(high - low, 0, None).prod(-1)
    area = a[:, 2:].prod(-1)[:, None]
    union = area if of_first else area + b[:, 2:].prod(-1)[None] - inter
    return inter / np.maximum(union, 1e-12)


def save_confusion(matrix: np.ndarray, path: Path, classes: Sequence[str] = DET_CLASSES) -> None:
    """Write the matrix as CSV with its class names."""
    names = [*classes, 'none']
    lines = [','.join(['ground truth \\ prediction', *names])]
    lines += [','.join([name, *map(str, row)]) for name, row in zip(names, matrix.tolist())]
    write_text(path, '\n'.join(lines) + '\n')


def plot_pr_curves(data: Matchable, path: Path, backend: str = 'auto') -> None:
    """Precision over recall of every class with ground truth, at IoU 0.5 (solid) and 0.75 (dashed)."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    precision = _accumulate(data, backend)['precision'][..., 0, 2]
    recall = np.linspace(0, 1, precision.shape[1])
    figure, axes = plt.subplots(figsize=(8, 6))
    for k, name in enumerate(data.classes):
        for iou, style in ((0.5, '-'), (0.75, '--')):
            curve = precision[np.isclose(IOU_THRESHOLDS, iou)][0, :, k]
            if (curve > -1).all():
                label = f'{name} {100 * curve.mean():.1f}' if iou == 0.5 else None
                axes.plot(recall, curve, style, color=f'C{k % 10}', label=label)
    axes.set(
        xlabel='recall',
        ylabel='precision',
        xlim=(0, 1),
        ylim=(0, 1.02),
        title='IoU 0.5 (solid), 0.75 (dashed)',
    )
    axes.legend(title='class, AP50', loc='lower left')
    try:
        with replacing(path) as part:
            figure.savefig(part, format=path.suffix[1:] or 'png', dpi=120, bbox_inches='tight')
    finally:
        plt.close(figure)
