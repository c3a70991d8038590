"""OpenImages' detection AP50: verified classes only, groups of objects as one box.

The rules are those of the OpenImages Challenge 2019 (storage.googleapis.com/openimages/web/evaluation.html), on
ground truth whose labels are expanded along the class hierarchy beforehand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np


def expanded_ap50(truth: Mapping, found: Sequence[Mapping], max_detections: int = 300) -> dict[int, float]:
    """AP at IoU 0.5 of each class.

    Args:
        truth: ``images`` with ``pos_category_ids`` and ``neg_category_ids`` (a class is judged on the images
            that list it), ``categories`` and ``annotations`` (``iscrowd`` 1 marks a group of objects).
        found: Detections ``image_id``, ``category_id``, ``bbox`` (x, y, w, h), ``score``.
        max_detections: The best of each image that count.

    Returns:
        Category id -> AP in [0, 1]; NaN for a class without ground truth.
    """
    verified = {
        i['id']: set(i.get('pos_category_ids', ())) | set(i.get('neg_category_ids', ()))
        for i in truth['images']
    }
    boxes: dict[tuple[int, int], list] = defaultdict(list)
    for a in truth['annotations']:
        verified[a['image_id']].add(a['category_id'])
        boxes[a['image_id'], a['category_id']].append((a['bbox'], bool(a.get('iscrowd', 0))))
    per_image: dict[int, list] = defaultdict(list)
    for f in found:
        per_image[f['image_id']].append(f)
    detections: dict[tuple[int, int], list] = defaultdict(list)
    for image, records in per_image.items():
        for f in sorted(records, key=lambda f: -f['score'])[:max_detections]:
            if f['category_id'] in verified[image]:
                detections[image, f['category_id']].append(f)
    scores, hits, count = defaultdict(list), defaultdict(list), defaultdict(int)
    for image, category in sorted(boxes.keys() | detections.keys()):
        gt = boxes[image, category]
        count[category] += len(gt)
        score, hit = match(detections[image, category], gt)
        scores[category].append(score)
        hits[category].append(hit)
    return {
        c['id']: average_precision(
            np.concatenate(scores[c['id']]), np.concatenate(hits[c['id']]), count[c['id']]
        )
        if count[c['id']]
        else np.nan
        for c in truth['categories']
    }


def match(found: Sequence[Mapping], gt: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and hits of an image's detections of one class, best first.

    A detection takes the single object it overlaps most, where the IoU is 0.5 or more and nobody took it. Those
    left over that lie in a group (half of their area or more) become one hit a group, with the best score.
    """
    found = sorted(found, key=lambda f: -f['score'])
    score = np.array([f['score'] for f in found], float)
    hit = np.zeros(len(found), bool)
    if not len(found):
        return score, hit
    own = np.array([f['bbox'] for f in found], float)
    single = np.array([b for b, group in gt if not group], float).reshape(-1, 4)
    groups = np.array([b for b, group in gt if group], float).reshape(-1, 4)
    inter, union = overlaps(own, single)
    if len(single):
        iou = inter / np.maximum(union, 1e-12)
        taken = set()
        for i, j in enumerate(iou.argmax(1)):
            if iou[i, j] >= 0.5 and j not in taken:
                hit[i] = True
                taken.add(j)
    if not len(groups):
        return score, hit
    inside = overlaps(own, groups)[0] / np.maximum(own[:, 2:].prod(1), 1e-12)[:, None]
    which = inside.argmax(1)
    in_group = ~hit & (inside.max(1) >= 0.5)
    best = [score[in_group & (which == j)].max() for j in np.unique(which[in_group])]
    keep = ~in_group
    return np.concatenate([score[keep], best]), np.concatenate([hit[keep], np.ones(len(best), bool)])


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersections and unions (n, m) of boxes x, y, w, h."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    inter = (high - low).clip(0).prod(-1)
    return inter, a[:, None, 2:].prod(-1) + b[None, :, 2:].prod(-1) - inter


def average_precision(score: np.ndarray, hit: np.ndarray, count: int) -> float:
    """Area under precision made monotone over recall (PASCAL VOC, all points)."""
    hit = hit[np.argsort(-score, kind='stable')]
    recall = np.concatenate([[0], hit.cumsum() / count, [1]])
    precision = np.concatenate([[0], hit.cumsum() / np.arange(1, len(hit) + 1), [0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(((recall[1:] - recall[:-1]) * precision[1:]).sum())
