"""Panoptic quality (Kirillov et al., CVPR 2019) as the official BDD100K tool computes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from ...files.rle import areas
from ..scalabel import LabelFileError
from .masks import (
    MaskFrame,
    are_bitmasks,
    in_threads,
    overlaps,
    pair_files,
    pair_frames,
    read_frames,
    read_pair,
    segments,
    told_categories,
    without_overlaps,
)
from .result import Scores

STUFF = (
    'dynamic', 'ego vehicle', 'ground', 'static', 'parking', 'rail track', 'road', 'sidewalk', 'bridge',
    'building', 'fence', 'garage', 'guard rail', 'tunnel', 'wall', 'banner', 'billboard', 'lane divider',
    'parking sign', 'pole', 'polegroup', 'street light', 'traffic cone', 'traffic device', 'traffic light',
    'traffic sign', 'traffic sign frame', 'terrain', 'vegetation', 'sky',
)  # fmt: skip
THINGS = (
    'person', 'rider', 'bicycle', 'bus', 'car', 'caravan', 'motorcycle', 'trailer', 'train', 'truck',
)  # fmt: skip
#: A bitmask's first channel holds the place here plus one.
CLASSES = STUFF + THINGS
#: Predicted segments of an image that the official tool can take.
MAX_SEGMENTS = 100


def evaluate_pan_seg(gt: str | Path, result: str | Path, nproc: int = 0) -> tuple[Scores, list[str]]:
    """PQ, SQ, RQ in percent and the number of classes with segments.

    Args:
        gt, result: Two folders of RGBA bitmasks, or two Scalabel files or folders with run-length codes.
            An image without prediction counts as all missed.
        nproc: Threads for bitmasks; 0 for up to four.

    Returns:
        The scores, and the names of predicted frames (run-length codes) that count as empty because
        their masks overlap.

    Raises:
        LabelFileError: Naming the file and the frame or instance.
    """
    if are_bitmasks(gt, result):
        stats = sum(in_threads(lambda pair: _from_files(*pair), pair_files(gt, result), nproc))
        categories = np.flatnonzero(stats[1:].any(0))
        told_categories(categories, len(CLASSES))
        return pq_scores(stats[:, 1 : len(CLASSES) + 1], 'N'), []
    pairs = pair_frames(read_frames(gt, CLASSES), read_frames(result, CLASSES))
    overlapping = without_overlaps(pairs)
    stats = sum((frame_stats(*pair) for pair in pairs), np.zeros((4, len(CLASSES))))
    return pq_scores(stats, 'NUM'), overlapping


def pq_scores(stats: np.ndarray, count_key: str) -> Scores:
    """Scores from (4, C) sums over images: IoU of matches, matches, false and missed segments."""
    iou, tp, fp, fn = stats
    with np.errstate(invalid='ignore', divide='ignore'):
        half = tp + 0.5 * fp + 0.5 * fn
        rows = np.stack([iou / half, np.where(tp > 0, iou / tp, 0), tp / half]) * 100
    present = half > 0
    groups = {
        **{name: slice(k, k + 1) for k, name in enumerate(CLASSES)},
        'STUFF': slice(0, len(STUFF)),
        'THING': slice(len(STUFF), None),
        'OVERALL': slice(None),
    }
    flat: dict[str, dict[str, float]] = {key: {} for key in ('PQ', 'SQ', 'RQ', count_key)}
    for name, part in groups.items():
        chosen = rows[:, part][:, present[part]]
        means = chosen.mean(1).tolist() if chosen.size else [0.0] * 3
        for key, value in zip(flat, [*means, chosen.shape[1]]):
            flat[key][name] = value
    ends = {'STUFF': 1, 'THING': 1, 'OVERALL': 2}
    return Scores(
        {
            key: [{n: v for n, v in values.items() if ends.get(n, 0) == k} for k in range(3)]
            for key, values in flat.items()
        }
    )


def _stats(gt_class, pred_class, iou, covered, gt_valid=True, pred_valid=True, num: int = 256) -> np.ndarray:
    """(4, num) sums of one image.

    Args:
        gt_class, pred_class: (g,), (p,) classes.
        iou: (g, p) overlap of segments.
        covered: (p,) part of each prediction that lies on valid ground truth.
        gt_valid, pred_valid: False for ignored segments.
    """
    gt_valid, pred_valid = (
        np.broadcast_to(gt_valid, len(gt_class)),
        np.broadcast_to(pred_valid, len(pred_class)),
    )
    iou = iou * (gt_class[:, None] == pred_class[None])
    hit, match = np.zeros(len(gt_class), bool), np.zeros(len(gt_class), np.int64)
    if iou.size:
        match = iou.argmax(1)
        hit = gt_valid & (iou.max(1) > 0.5) & pred_valid[match]
    false = pred_valid & (1 - covered <= 0.5)
    false[match[hit]] = False
    return np.stack(
        [
            np.bincount(gt_class[hit], iou[hit, match[hit]], minlength=num),
            np.bincount(gt_class[hit], minlength=num),
            np.bincount(pred_class[false], minlength=num),
            np.bincount(gt_class[gt_valid & ~hit], minlength=num),
        ]
    )


def _from_files(gt_path: Path, pred_path: Path | None) -> np.ndarray:
    gt, pred = read_pair(gt_path, pred_path, 4)
    return bitmask_stats(gt, pred, gt_path, pred_path or gt_path, MAX_SEGMENTS)


def bitmask_stats(gt: np.ndarray, pred: np.ndarray, gt_path: Path, pred_path: Path, most: int) -> np.ndarray:
    """(4, 256) sums of one image's bitmasks (H, W, 4), of predictions with ``most`` segments at most."""
    gt_values, pred_values, inter = overlaps(gt, pred)
    gt_rows, _, gt_class, gt_attributes = segments(gt_values, gt_path)
    pred_rows, _, pred_class, pred_attributes = segments(pred_values, pred_path)
    if len(pred_rows) > most:
        raise LabelFileError(
            f'{pred_path}: {len(pred_rows)} segments; the official tool takes at most {most} an image'
        )
    gt_area, pred_area = inter.sum(1)[gt_rows, None], inter.sum(0)[None, pred_rows]
    inter = inter[gt_rows][:, pred_rows]
    gt_valid = gt_attributes & 3 == 0
    return _stats(
        gt_class,
        pred_class,
        iou=inter / (gt_area + pred_area - inter),
        covered=(inter / pred_area)[gt_valid].sum(0),
        gt_valid=gt_valid,
        pred_valid=pred_attributes & 3 == 0,
    )


def frame_stats(gt: MaskFrame, pred: MaskFrame) -> np.ndarray:
    """(4, classes) sums of one image's frames, whose masks do not overlap."""
    gt_masks, gt_class = _combined(gt)
    pred_masks, pred_class = _combined(pred)
    shape = len(gt_masks), len(pred_masks)
    iou = iof = np.zeros(shape)
    if iou.size:
        iou = coco_mask.iou(pred_masks, gt_masks, [False] * shape[0]).T
        iof = coco_mask.iou(pred_masks, gt_masks, [True] * shape[0]).T
    return _stats(gt_class, pred_class, iou, iof.sum(0), num=len(CLASSES))


def _combined(frame: MaskFrame) -> tuple[list[dict], np.ndarray]:
    """Masks and classes of a frame without crowd and ignored ones; the stuff of a class is one mask."""
    labels = [label for label in frame.labels if not label.ignored]
    by_class: dict[int, list[dict]] = {}
    for label in labels:
        by_class.setdefault(CLASSES.index(label.category), []).append(label.rle)
    masks, classes = [], []
    for k in sorted(by_class):
        found = by_class[k] if k >= len(STUFF) else [_sum(by_class[k])]
        masks += found
        classes += [k] * len(found)
    return masks, np.array(classes, np.int64)


def _sum(masks: list[dict]) -> dict:
    """The union of masks; where they overlap, what the official tool makes of the sum of their pixels."""
    if len(masks) == 1:
        return masks[0]
    union = coco_mask.merge(masks)
    if coco_mask.area(union) == areas(masks).sum():
        return union
    total = np.zeros(masks[0]['size'], np.uint8, order='F')
    for mask in masks:
        total += coco_mask.decode(mask)  # of eight bits, as the official tool's: 256 masks are none
    return coco_mask.encode(total)
