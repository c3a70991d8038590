"""The official metrics of SegmentMeIfYouCan (https://arxiv.org/abs/2104.14812): pixels and components.

ISSU (https://github.com/vojirt/benchmark_issu) has the same with other sizes and more thresholds. The benchmarks
store scores as float16 before they measure; give such scores for their numbers. Their pixel curve has at most 768
(ISSU: 1,024) quantiles of scores per image and class as thresholds, so that AP and FPR95 are approximations:
`mmroad.anomaly.pixel` has the exact ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from .values import by_class, widened


class Protocol(NamedTuple):
    """What the benchmarks differ in."""

    min_pred: int  #: pixels of the smallest predicted component
    min_gt: int  #: and of the smallest true one
    bins: int = 768  #: quantiles of an image's scores that are thresholds


#: Of SegmentMeIfYouCan's tracks and of ISSU.
PROTOCOLS = dict(anomaly=Protocol(500, 100), obstacle=Protocol(50, 10), issu=Protocol(49, 49, 1024))
#: The sIoU and PPV from which a component is found.
TAUS = np.linspace(0.25, 0.75, 11)
IGNORED = 255


class PixelCurve(NamedTuple):
    """The metrics of the pixels, from 0 to 1."""

    ap: float
    auroc: float
    fpr95: float  #: at the first point with TPR >= 0.95
    threshold95: float
    best_f1: float
    best_f1_threshold: float  #: what the components are cut at


class SmiycPixels:
    """Collects the curve image by image; keeps two numbers of three kinds a bin of each.

    Args:
        bins: See `Protocol`.
    """

    def __init__(self, bins: int = 768) -> None:
        self.bins = bins
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add an image (see `by_class`). One that is all void adds nothing (the official code fails on it)."""
        classes = [widened(part) for part in by_class(scores, labels)]
        if not any(part.size for part in classes):
            return
        both = np.concatenate(classes)
        low, high = float(both.min()), float(both.max())
        margin = max((high - low) / 100, 0.01)
        edges = [[low - margin, high + margin]]  # so that the highest score is a threshold
        for part in classes:
            if part.size:
                edges.append(np.quantile(part, np.linspace(0, 1, min(self.bins // 2, part.size))))
        edges = np.unique(np.concatenate(edges))
        fp, tp = (np.histogram(part, edges)[0][::-1] for part in classes)
        self.parts.append((edges[-2::-1], tp, fp))

    def merge(self, other: SmiycPixels) -> None:
        """Take over what another collector has."""
        self.parts += other.parts

    def compute(self) -> PixelCurve:
        """The scores of all that was added.

        Raises:
            ValueError: There are no inlier or no outlier pixels.
        """
        parts = self.parts or [(np.zeros(0),) * 3]
        thresholds, tp, fp = (np.concatenate(column) for column in zip(*parts))
        if not np.any(tp) or not np.any(fp):
            raise ValueError('SMIYC scores need inlier and outlier pixels, one of them is missing')
        order = np.argsort(thresholds)[::-1]
        thresholds = thresholds[order]
        tp, fp = np.cumsum(tp[order], dtype=float), np.cumsum(fp[order], dtype=float)
        last = np.append(thresholds[:-1] != thresholds[1:], True)  # equal thresholds are one point
        last[0] = True  # but the very first always counts as one, which may be part of a tie
        thresholds, tp, fp = thresholds[last], tp[last], fp[last]
        tpr, fpr = tp / tp[-1], fp / fp[-1]
        # A threshold above all scores has recalled nothing and counts as precise.
        precision = np.divide(tp, tp + fp, out=np.ones_like(tp), where=tp + fp > 0)
        f1 = 2 * tp / (tp + fp + tp[-1])
        first, best = int(np.argmax(tpr >= 0.95)), int(np.argmax(f1))
        return PixelCurve(
            ap=float(np.sum(np.diff(tpr, prepend=0) * precision)),
            auroc=float(np.sum(np.diff(fpr, prepend=0) * (tpr - np.diff(tpr, prepend=0) / 2))),
            fpr95=float(fpr[first]),
            threshold95=float(thresholds[first]),
            best_f1=float(f1[best]),
            best_f1_threshold=float(thresholds[best]),
        )


class Components(NamedTuple):
    """The components of an image, or of several joined."""

    siou_gt: np.ndarray  #: of each true component
    siou_pred: np.ndarray  #: of each predicted one
    ppv: np.ndarray  #: of each predicted one
    size_gt: np.ndarray  #: in pixels
    size_pred: np.ndarray


def components(
    scores: np.ndarray, labels: np.ndarray, threshold: float, track: str = 'anomaly'
) -> Components:
    """Match the components of one image.

    Predictions are the 8-connected components of ``scores > threshold`` outside the void; small ones
    are dropped, then small true components become void.

    Args:
        scores: (H, W), higher is more anomalous.
        labels: (H, W) of 0, 1 and 255 (left out).
        threshold: `PixelCurve.best_f1_threshold` of the data set.
        track: A key of ``PROTOCOLS``.
    """
    min_pred, min_gt, _ = PROTOCOLS[track]
    outlier, found = labels == 1, scores > threshold
    found &= labels != IGNORED
    _, gt = cv2.connectedComponents(outlier.view(np.uint8), connectivity=8)
    _, pred = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    pixels = np.flatnonzero(outlier | found)  # all others are background of both
    gt, pred = gt.ravel()[pixels], pred.ravel()[pixels]
    tables = _large(gt, min_gt, -1), _large(pred, min_pred, 0)
    if outlier.size - np.count_nonzero(outlier) < min_gt:  # the official code does so with the background too
        tables[0][0] = -1
    gt, pred = tables[0][gt], tables[1][pred]
    gt, pred = gt[gt >= 0], pred[gt >= 0]
    shape = gt.max(initial=0) + 1, pred.max(initial=0) + 1
    # pixels that a true and a predicted component share; row and column 0 are the background
    shared = np.bincount(gt * shape[1] + pred, minlength=shape[0] * shape[1]).reshape(shape)
    shared = shared[:, shared.any(0) | (np.arange(shape[1]) == 0)]  # some lie in dropped true ones alone
    size_gt, siou_gt, _ = _adjusted_iou(shared)
    size_pred, siou_pred, ppv = _adjusted_iou(shared.T)
    return Components(siou_gt, siou_pred, ppv, size_gt, size_pred)


def _large(components: np.ndarray, smallest: int, else_: int) -> np.ndarray:
    """A table of new numbers, from 1 without gaps, for components of at least ``smallest`` pixels; 0 stays."""
    large = np.bincount(components, minlength=1) >= smallest
    large[0] = False
    return np.where(large, np.cumsum(large), np.append(0, np.full(len(large) - 1, else_)))


def _adjusted_iou(shared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Size, sIoU and covered share of the row components: what other rows cover of the columns that
    a row touches is no part of its union."""
    size = shared[1:].sum(1)
    covered = shared[1:, 1:].sum(1)
    touched = shared[1:, 1:] > 0
    union = touched @ shared[0, 1:] + size  # touched columns outside all rows, and the row itself
    return size, covered / union, covered / size


def join(parts: Iterable[Components]) -> Components:
    """The components of several images as one."""
    parts = list(parts)
    return Components(*(np.concatenate([part[i] for part in parts]) for i in range(5)))


def component_scores(found: Components) -> dict[str, float]:
    """``siou_gt``, ``siou_pred``, ``ppv``: means; ``f1_mean`` and, at tau of 25, 50 and 75 %, ``tp``,
    ``fn`` (true components by sIoU), ``fp`` (predicted ones by PPV) and ``f1``. NaN where there is nothing to
    average."""

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if len(values) else float('nan')

    scores = dict(siou_gt=mean(found.siou_gt), siou_pred=mean(found.siou_pred), ppv=mean(found.ppv))
    rows = []
    for tau in TAUS:
        tp, fp = int((found.siou_gt >= tau).sum()), int((found.ppv < tau).sum())
        fn = len(found.siou_gt) - tp
        rows.append((tp, fn, fp, 2 * tp / (2 * tp + fn + fp) if tp + fn + fp else float('nan')))
        if tau in (0.25, 0.5, 0.75):
            scores |= {f'{key}_{tau:.0%}'[:-1]: v for key, v in zip(('tp', 'fn', 'fp', 'f1'), rows[-1])}
    means = np.mean(rows, 0)
    return scores | {f'{key}_mean': float(v) for key, v in zip(('tp', 'fn', 'fp', 'f1'), means)}
