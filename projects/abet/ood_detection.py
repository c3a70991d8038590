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
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

PROTOCOLS = ('all', 'best_f1')


class Detections(NamedTuple):
    """Detections of several images, one row each.

    Attributes:
        image: Image of each detection, str.
        label: Class index, int.
        xyxy: Corners in pixels, (n, 4) float.
        score: Class probability, 0 to 1.
        ood_score: Higher = more likely of no known class.
    """

    image: np.ndarray
    label: np.ndarray
    xyxy: np.ndarray
    score: np.ndarray
    ood_score: np.ndarray


def ood_measures(id_score: np.ndarray, ood_score: np.ndarray) -> dict[str, float]:
    """AUROC, AUPR and FPR95 with ID positive, exact, ties counted together.

    Args:
        id_score, ood_score: Scores of detections of ID and of OOD images, any shape,
            higher = more in-distribution.

    Returns:
        ``auroc``; ``aupr`` (step-wise average precision); ``fpr95``: the share of OOD
        detections accepted at the recall nearest .95 (of points with equal recall the
        one with the most false positives, of two recalls equally near the higher; with a handful
            of ID detections that is recall 1, and FPR95 is 1 whatever the score).

    Raises:
        ValueError: There are no detections of one kind, or a score is not finite.
    """
    id_score, ood_score = np.ravel(id_score), np.ravel(ood_score)
    if not len(id_score) or not len(ood_score):
        raise ValueError(f'{len(id_score)} ID and {len(ood_score)} OOD detections: both kinds are needed')
    values = np.concatenate([id_score, ood_score]).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError('an out-of-distribution score is not finite')
    order = np.argsort(-values, kind='stable')
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)  # one point per distinct score
    positive = np.cumsum(order < len(id_score))[last]
    negative = last + 1 - positive
    recall = positive / len(id_score)
    fpr = negative / len(ood_score)
    gained = np.diff(recall, prepend=0)
    distance = np.abs(recall - 0.95)
    # the later of equals has the higher recall, or the same with more false positives
    nearest = len(distance) - 1 - int(np.argmin(distance[::-1]))
    return dict(
        auroc=float(np.sum(np.diff(fpr, prepend=0) * (recall - gained / 2))),
        aupr=float(np.sum(gained * positive / (positive + negative))),
        fpr95=float(fpr[nearest]),
    )


def best_f1_threshold(precision: np.ndarray, scores: np.ndarray, recalls: np.ndarray) -> float:
    """VOS's threshold: the mean over classes of the score with the best F1.

    Args:
        precision, scores: COCO evaluation's arrays (IoU thresholds, recalls, classes), -1
            for classes without ground truth.
        recalls: The recalls, (R,).

    Raises:
        ValueError: No class was detected.
    """
    precision, scores = precision.mean(0), scores.mean(0)
    f1 = 2 * precision * recalls[:, None] / np.maximum(precision + recalls[:, None], 1e-12)
    best = np.take_along_axis(scores, f1.argmax(0)[None], 0)[0]
    best = best[(precision.max(0) > 0) & (best > 0)]
    if not len(best):
        raise ValueError('no in-distribution object was detected: there is no threshold of best F1')
    return float(best.mean())


def f1_threshold(detections: Detections, truth: Detections) -> float:
    """:func:`best_f1_threshold` of ID detections against their ground truth (COCO's matching)."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = {name: i for i, name in enumerate(np.unique(np.concatenate([truth.image, detections.image])))}
    gt = COCO()
    gt.dataset = dict(
        images=[dict(id=i) for i in names.values()],
        categories=[dict(id=int(c)) for c in np.unique(truth.label)],
        annotations=[dict(a, id=i, iscrowd=0) for i, a in enumerate(_coco(truth, names), 1)],
    )
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        gt.createIndex()
        known = np.isin(detections.label, truth.label)
        found = (
            gt.loadRes(_coco(Detections(*(x[known] for x in detections)), names)) if known.any() else COCO()
        )
        evaluation = COCOeval(gt, found, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
    return best_f1_threshold(
        evaluation.eval['precision'][..., 0, 2],
        evaluation.eval['scores'][..., 0, 2],
        np.asarray(evaluation.params.recThrs),
    )


def _coco(rows: Detections, names: dict[str, int]) -> list[dict]:
    size = rows.xyxy[:, 2:] - rows.xyxy[:, :2]
    boxes = np.concatenate([rows.xyxy[:, :2], size], 1)
    return [
        dict(
            image_id=names[name],
            category_id=int(c),
            bbox=box.tolist(),
            area=float(box[2] * box[3]),
            score=float(s),
        )
        for name, c, box, s in zip(rows.image, rows.label, boxes, rows.score, strict=True)
    ]


def evaluate(
    in_distribution: Detections,
    out_of_distribution: dict[str, Detections],
    truth: Detections | None = None,
) -> dict[str, dict]:
    """Both protocols on every OOD set.

    Args:
        in_distribution: Detections of the ID images.
        out_of_distribution: Detections of each OOD set's images.
        truth: Objects of the ID images (scores are ignored); without it only ``all``.

    Returns:
        ``{'SET/all': dict(auroc, aupr, fpr95, threshold, id, ood), 'SET/best_f1': ...}``;
        ``id`` and ``ood`` count the detections that were kept; the measures are NaN if one is 0.
    """
    thresholds = dict(all=-np.inf)
    if truth is not None:
        thresholds['best_f1'] = f1_threshold(in_distribution, truth)
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


class _Box(msgspec.Struct):
    x1: float
    y1: float
    x2: float
    y2: float


class _Label(msgspec.Struct):
    category: str
    box2d: _Box | None = None
    score: float | None = None
    ood_score: float | None = None


class _Frame(msgspec.Struct):
    name: str
    labels: list[_Label] | None = None


def read_detections(path: str | Path, need_score: bool = True) -> Detections:
    """Detections (or, with ``need_score=False``, objects) of a Scalabel file such as ``det.json``.

    Boxes come with exclusive x2, y2 (one more than in the file); labels index
    BDD100K's ten classes, other categories are left out.

    Raises:
        ValueError: The file is not such a file, or a detection has no ``score`` or ``ood_score``.
    """
    from mmroad.bdd100k.scalabel import DET_CLASSES, NAME_MAPPING

    content = Path(path).read_bytes()
    try:
        if content.lstrip()[:1] == b'{':
            content = msgspec.json.decode(content, type=dict[str, msgspec.Raw])['frames']
        frames = msgspec.json.decode(content, type=list[_Frame])
    except (msgspec.DecodeError, KeyError) as error:
        raise ValueError(f'{path}: not a Scalabel file of detections: {error}') from error
    index = {name: i for i, name in enumerate(DET_CLASSES)}
    rows = []
    for frame in frames:
        for label in frame.labels or ():
            category = index.get(NAME_MAPPING.get(label.category, label.category))
            if category is None or label.box2d is None:
                continue
            if need_score and (label.score is None or label.ood_score is None):
                raise ValueError(
                    f'{path}: frame {frame.name}: a detection lacks score or ood_score; write the file with '
                    f'tools/test.py --format-only and a box head of mmroad.abet.det'
                )
            b = label.box2d
            box = (b.x1, b.y1, b.x2 + 1, b.y2 + 1)
            rows.append((frame.name, category, box, label.score or 0.0, label.ood_score or 0.0))
    image, label, xyxy, score, ood = zip(*rows, strict=True) if rows else ([],) * 5
    return Detections(
        np.array(image, dtype=str),
        np.array(label, np.int64),
        np.array(xyxy, np.float64).reshape(-1, 4),
        np.array(score, np.float64),
        np.array(ood, np.float64),
    )
