"""OpenImages' detection AP50: verified classes only, groups of objects as one box.

The rules are those of the OpenImages Challenge 2019 (storage.googleapis.com/openimages/web/evaluation.html), on
ground truth whose labels are expanded along the class hierarchy beforehand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..bdd100k.scalabel import is_true
from ..files.json_files import read_json
from .lvis_style import Category

#: The published file of the 500 classes' hierarchy.
HIERARCHY = 'challenge-2019-label500-hierarchy.json'


def read_hierarchy(path: str | Path, categories: Sequence[Category]) -> dict[int, set[int]]:
    """Category id -> ids of the classes above it, from the Challenge's hierarchy (a tree of ``LabelName`` and
    ``Subcategory``, whose root is no class; ``Part`` is no class above).

    Args:
        path: The JSON file.
        categories: With ``freebase_id``, by which the file names its classes.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Another form, or classes that are not among the categories.
    """
    ids = {c.freebase_id: c.id for c in categories if c.freebase_id is not None}
    tree = read_json(path, dict, 'a class hierarchy of OpenImages')
    above: dict[int, set[int]] = defaultdict(set)
    unknown: list[str] = []

    def descend(node: Mapping, over: frozenset[int]) -> None:
        for child in node.get('Subcategory', ()):
            name = child.get('LabelName')
            if name not in ids:
                unknown.append(str(name))
            else:
                above[ids[name]] |= over
                descend(child, over | {ids[name]})

    descend(tree, frozenset())
    if unknown or not above:
        raise ValueError(
            f'{path}: classes that no category has as its freebase_id: '
            f'{", ".join(unknown[:5]) or "the file has no Subcategory"}'
        )
    return dict(above)


def expanded_ap50(
    truth: Mapping,
    found: np.ndarray,
    max_detections: int = 300,
    above: Mapping[int, Collection[int]] | None = None,
) -> dict[int, float]:
    """AP at IoU 0.5 of each class.

    Boxes without area count neither as ground truth nor, after the best of an image were taken, as detections.

    Args:
        truth: ``images`` with ``pos_category_ids`` and ``neg_category_ids`` (a class is judged on the images
            that list it), ``categories`` and ``annotations`` (``iscrowd`` 1 marks a group of objects).
        found: (n, 7) detections: image id, box x, y, w, h, score, category id.
        max_detections: The best of each image that count.
        above: Category id -> the classes above it, as which its detections count too (see ``read_hierarchy``).

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
        if a.get('area', a['bbox'][2] * a['bbox'][3]) > 0:
            boxes[a['image_id'], a['category_id']].append((*a['bbox'], is_true(a.get('iscrowd'))))
    verified |= boxes.keys()
    found = best_of_each_image(found, max_detections)
    found = found[found[:, 3] * found[:, 4] > 0]
    if above is not None:
        found = _also_as(found, above)
    detections = dict(_by_image_and_class(found))
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


def _also_as(found: np.ndarray, above: Mapping[int, Collection[int]]) -> np.ndarray:
    """Each detection, followed by itself as every class above its own."""
    classes = [[c, *sorted(above.get(c, ()))] for c in found[:, 6].astype(int).tolist()]
    rows = found.repeat([len(c) for c in classes], 0)
    rows[:, 6] = [c for each in classes for c in each]
    return rows


def best_of_each_image(found: np.ndarray, number: int) -> np.ndarray:
    """The ``number`` best rows of each image, best first within it."""
    return found[places_of_best(found, number)]


def places_of_best(found: np.ndarray, number: int) -> np.ndarray:
    """The places of the ``number`` best rows of each image, by image and best first within it; of equal scores
    the first."""
    order = np.lexsort((-found[:, 5], found[:, 0]))
    _, first, count = np.unique(found[order, 0], return_index=True, return_counts=True)
    return order[np.arange(len(found)) - np.repeat(first, count) < number]


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
