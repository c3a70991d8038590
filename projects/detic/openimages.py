"""OpenImages' detection AP50: verified classes only, groups of objects as one box.

The rules are those of the OpenImages Challenge 2019 (storage.googleapis.com/openimages/web/evaluation.html), on
ground truth whose labels are expanded along the class hierarchy beforehand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np


def expanded_ap50(truth: Mapping, found: np.ndarray, max_detections: int = 300) -> dict[int, float]:
    """AP at IoU 0.5 of each class.

    Args:
        truth: ``images`` with ``pos_category_ids`` and ``neg_category_ids`` (a class is judged on the images
            that list it), ``categories`` and ``annotations`` (``iscrowd`` 1 marks a group of objects).
        found: (n, 7) detections: image id, box x, y, w, h, score, category id.
        max_detections: The best of each image that count.

    Returns:
        Category id -> AP in [0, 1]; NaN for a class without ground truth.
    """
    boxes: dict[tuple[int, int], list] = defaultdict(list)
    verified = {
        (i['id'], c)
        for i in truth['images']
        for c in (*i.get('pos_category_ids', ()), *i.get('neg_category_ids', ()))
    }
    for a in truth['annotations']:
        boxes[a['image_id'], a['category_id']].append((*a['bbox'], bool(a.get('iscrowd', 0))))
    verified |= boxes.keys()
    detections = dict(_by_image_and_class(best_of_each_image(found, max_detections)))
    scores, hits, count = defaultdict(list), defaultdict(list), defaultdict(int)
    for place in sorted(verified & (boxes.keys() | detections.keys())):
        category = place[1]
        gt = np.array(boxes.get(place, ()), float).reshape(-1, 5)
        count[category] += len(gt)
        if place in detections:
            score, hit = match(detections[place], gt)
            scores[category].append(score)
            hits[category].append(hit)
    none = [np.zeros(0)]
    return {
        c: average_precision(np.concatenate(scores.get(c, none)), np.concatenate(hits.get(c, none)), count[c])
        if count[c]
        else np.nan
        for c in (c['id'] for c in truth['categories'])
    }


def best_of_each_image(found: np.ndarray, number: int) -> np.ndarray:
    """The ``number`` best rows of each image, best first within it."""
    found = found[np.lexsort((-found[:, 5], found[:, 0]))]
    _, first, count = np.unique(found[:, 0], return_index=True, return_counts=True)
    return found[np.arange(len(found)) - np.repeat(first, count) < number]


def _by_image_and_class(found: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    found = found[np.lexsort((-found[:, 5], found[:, 6], found[:, 0]))]
    keys, first = np.unique(found[:, [0, 6]], axis=0, return_index=True)
    for key, part in zip(keys.astype(int).tolist(), np.split(found, first[1:])):
        yield tuple(key), part


def match(found: np.ndarray, gt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and hits of an image's detections of one class.

    A detection takes the single object it overlaps most, where the IoU is 0.5 or more and nobody took it. Those
    left over that lie in a group (half of their area or more) become one hit a group, with the best score.

    Args:
        found: (n, 7) as in ``expanded_ap50``, best first.
        gt: (m, 5) box x, y, w, h and 1 for a group.
    """
    score, hit, own = found[:, 5], np.zeros(len(found), bool), found[:, 1:5]
    single, groups = gt[gt[:, 4] == 0, :4], gt[gt[:, 4] == 1, :4]
    if len(single):
        inter, union = overlaps(own, single)
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
