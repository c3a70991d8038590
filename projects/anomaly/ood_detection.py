"""Out-of-distribution detection with box detectors: protocols and measures.

A detector runs on in-distribution (ID) and on out-of-distribution (OOD) images; every
detection has a score; measures say how well it tells detections of ID images, the
positive class, from those of OOD images (Du et al., "VOS", arXiv 2202.01197; AbeT,
arXiv 2401.12129). AbeT keeps all detections; VOS keeps those above the threshold of
best F1 on the ID images.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings

import numpy as np

from .curve import RocCurve
from .detection_files import Detections, read_detections

__all__ = [
    'Detections',
    'best_f1_threshold',
    'evaluate',
    'f1_threshold',
    'ood_measures',
    'read_detections',
    'table',
]


def ood_measures(id_score: np.ndarray, ood_score: np.ndarray) -> dict[str, float]:
    """AUROC, AUPR and FPR95 with ID positive, exact, ties counted together.

    Args:
        id_score, ood_score: Scores of detections of ID and of OOD images, any shape,
            higher = more in-distribution.

    Returns:
        ``auroc``; ``aupr`` (step-wise average precision); ``fpr95``: the share of OOD detections accepted at
        the recall nearest .95. As in the published code, of points with equal recall it is the one with the
        most false positives; of those with recall 1 it is the first, because thresholds below the last ID
        detection are of no use.

    Raises:
        ValueError: There are no detections of one kind, or a score is not finite.
    """
    id_score, ood_score = np.ravel(id_score), np.ravel(ood_score)
    if not len(id_score) or not len(ood_score):
        raise ValueError(f'{len(id_score)} ID and {len(ood_score)} OOD detections: both kinds are needed')
    both = np.concatenate([id_score, ood_score]).astype(np.float64)
    if not np.isfinite(both).all():
        raise ValueError('an out-of-distribution score is not finite')
    values, place = np.unique(-both, return_inverse=True)  # from the highest score down
    positive = np.bincount(place[: len(id_score)], minlength=len(values))
    negative = np.bincount(place[len(id_score) :], minlength=len(values))
    curve = RocCurve(len(ood_score), len(id_score))
    curve.extend(-values, positive, negative)
    scores = curve.scores((len(ood_score), len(id_score), 0))
    found, false = np.cumsum(positive), np.cumsum(negative)
    complete = int(np.argmax(found == len(id_score)))
    distance = np.abs(found[: complete + 1] / len(id_score) - 0.95)
    # of points with equal recall, the later has more false positives
    nearest = complete - int(np.argmin(distance[::-1]))
    return dict(
        auroc=scores.auroc,
        aupr=scores.ap,
        fpr95=float(false[nearest] / len(ood_score)),
    )


def best_f1_threshold(precision: np.ndarray, scores: np.ndarray, recalls: np.ndarray) -> float:
    """VOS's threshold: the mean over classes of the score with the best F1.

    As published, a class with ground truth of which nothing was found gives its highest score. A class without
    ground truth is left out: the -1 that COCO's arrays hold there goes into the published mean, which is a fault.

    Args:
        precision, scores: COCO evaluation's arrays (IoU thresholds, recalls, classes), -1
            for classes without ground truth.
        recalls: The recalls, (R,).

    Raises:
        ValueError: There is no detection of a class that has ground truth.
    """
    precision = precision.mean(0)
    f1 = 2 * precision * recalls[:, None] / np.maximum(precision + recalls[:, None], 1e-12)
    # summed exactly: the mean of equal scores is that score, and a detection that has it stays
    best = [math.fsum(scores[:, i, c]) / len(scores) for c, i in enumerate(f1.argmax(0))]
    best = [score for score in best if score > 0]  # without detections it is 0, without ground truth -1
    if not best:
        raise ValueError(
            'no in-distribution object was detected: no detection is of a class that the ground truth of its images '
            'has, and there is no threshold of best F1'
        )
    return math.fsum(best) / len(best)


def f1_threshold(detections: Detections, truth: Detections) -> float:
    """:func:`best_f1_threshold` of ID detections against their ground truth (COCO's matching)."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detections = Detections(*(column[np.isin(detections.label, truth.label)] for column in detections))
    if not len(detections.label):
        return best_f1_threshold(np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros(1))
    names = {name: i for i, name in enumerate(np.unique(np.concatenate([truth.image, detections.image])))}
    classes = {label: i for i, label in enumerate(np.unique(truth.label).tolist(), 1)}
    gt = COCO()
    gt.dataset = dict(
        images=[dict(id=i) for i in names.values()],
        categories=[dict(id=i) for i in classes.values()],
        annotations=[dict(a, id=i, iscrowd=0) for i, a in enumerate(_coco(truth, names, classes), 1)],
    )
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(_coco(detections, names, classes)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
    return best_f1_threshold(
        evaluation.eval['precision'][..., 0, 2],
        evaluation.eval['scores'][..., 0, 2],
        np.asarray(evaluation.params.recThrs),
    )


def _coco(rows: Detections, names: dict[str, int], classes: dict) -> list[dict]:
    size = rows.xyxy[:, 2:] - rows.xyxy[:, :2]
    boxes = np.concatenate([rows.xyxy[:, :2], size], 1)
    return [
        dict(
            image_id=names[name],
            category_id=classes[c],
            bbox=box.tolist(),
            area=float(box[2] * box[3]),
            score=float(s),
        )
        for name, c, box, s in zip(rows.image, rows.label.tolist(), boxes, rows.score, strict=True)
    ]


def evaluate(
    in_distribution: Detections,
    out_of_distribution: dict[str, Detections],
    truth: Detections | None = None,
    covered: Detections | None = None,
) -> dict[str, dict]:
    """Both protocols on every OOD set.

    Args:
        in_distribution: Detections of the ID images.
        out_of_distribution: Detections of each OOD set's images.
        truth: Objects of the ID images (scores are ignored); without it only ``all``.
        covered: Detections of the ID images that have a truth, where not all have.

    Returns:
        ``{'SET/all': dict(auroc, aupr, fpr95, threshold, id, ood), 'SET/best_f1': ...}``;
        ``id`` and ``ood`` count the detections that were kept; the measures are NaN if one is 0. Where there is
        no threshold of best F1 (a warning says why), it is NaN and nothing is kept.
    """
    thresholds = dict(all=-np.inf)
    if truth is not None:
        try:
            thresholds['best_f1'] = f1_threshold(in_distribution if covered is None else covered, truth)
        except ValueError as error:
            warnings.warn(f'best_f1: {error}', stacklevel=2)
            thresholds['best_f1'] = float('nan')
    results = {}
    for name, rows in out_of_distribution.items():
        for protocol, threshold in thresholds.items():
            kept = [-d.ood_score[d.score >= threshold] for d in (in_distribution, rows)]
            counts = dict(threshold=threshold, id=len(kept[0]), ood=len(kept[1]))
            if counts['id'] and counts['ood']:
                measures = ood_measures(*kept)
            else:  # nothing to tell apart
                measures = dict.fromkeys(('auroc', 'aupr', 'fpr95'), float('nan'))
            results[f'{name}/{protocol}'] = measures | counts
    return results


def table(results: dict[str, dict]) -> str:
    """The results of :func:`evaluate` as text, percentages."""
    lines = [
        f'{"set/protocol":28} {"AUROC":>7} {"AUPR":>7} {"FPR95":>7} {"threshold":>9} {"ID":>8} {"OOD":>8}'
    ]
    for name, row in results.items():
        values = ' '.join(f'{100 * row[k]:7.2f}' for k in ('auroc', 'aupr', 'fpr95'))
        lines.append(f'{name:28} {values} {row["threshold"]:9.4f} {row["id"]:8} {row["ood"]:8}')
    return '\n'.join(lines)
