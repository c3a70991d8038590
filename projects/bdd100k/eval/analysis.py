"""More than scores: the confusion matrix and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...files import replacing, write_text
from ..scalabel import DET_CLASSES
from .det import IOU_THRESHOLDS, Matchable, _accumulate
from .matching import Pairs, pairs_of, ranks, take_turns
from .result import csv_text


def taken_for(data: Matchable, pairs: Pairs, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """The object that each prediction is taken to mean, whatever its class.

    Predictions take, best first, the free box of any class that they overlap most, from IoU ``iou`` on. A crowd box
    is no such object, and predictions on one do not count: those without a box that lie in a crowd box of any
    class by ``iou`` of their own area, as COCO measures it. A threshold of scores changes nothing for those above
    it, as the better ones choose first.

    Args:
        pairs: `pairs_of` the data, from an IoU of at most ``iou`` on.

    Returns:
        (n,) row of the ground truth, -1 for none; (n,) bool, on a crowd.
    """
    pairs = pairs.where(pairs.iou >= iou)
    crowd = data.gt_crowd[pairs.second]
    rank = ranks(data.dt_score, data.dt_image)
    boxes = pairs.where(~crowd)
    (match,) = take_turns(boxes, rank, len(data.gt_image), np.array([iou]), last_of_equals=False)
    on_crowd = np.zeros(len(match), bool)
    on_crowd[pairs.first[crowd]] = True
    return match, on_crowd & (match < 0)


def confusion_matrix(data: Matchable, score: float = 0.3, iou: float = 0.5) -> np.ndarray:
    """(K + 1, K + 1) counts: rows the ground truth's class, columns the prediction's, last "none".

    Predictions from ``score`` on are matched as `taken_for` says. Crowd boxes are left out.
    """
    none = len(data.classes)
    match, on_crowd = taken_for(data, pairs_of(data, iou), iou)
    gt_class, dt_class = data.gt_category - 1, data.dt_category - 1
    kept = (data.dt_score >= score) & ~on_crowd
    found = match[kept & (match >= 0)]
    matrix = np.zeros((none + 1, none + 1), np.int64)
    np.add.at(matrix, (np.append(gt_class, none)[match[kept]], dt_class[kept]), 1)
    missed = ~data.gt_crowd
    missed[found] = False
    np.add.at(matrix[:, none], gt_class[missed], 1)
    return matrix


def save_confusion(matrix: np.ndarray, path: Path, classes: Sequence[str] = DET_CLASSES) -> None:
    """Write the matrix as CSV with its class names."""
    names = [*classes, 'none']
    rows = [[name, *row] for name, row in zip(names, matrix.tolist())]
    write_text(path, csv_text([['ground truth \\ prediction', *names], *rows]))


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
