"""Scores of semantic segmentation and of the drivable area: IoU and accuracy as the official tool has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ..scalabel import LabelFileError
from .masks import (
    UNLABELED,
    are_bitmasks,
    in_threads,
    pair_files,
    pair_frames,
    read_frames,
    read_pair,
    visible_files,
)
from .result import Scores, told

CLASSES = {
    'sem_seg': (
        'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign', 'vegetation',
        'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle',
    ),
    'drivable': ('direct', 'alternative'),
}  # fmt: skip


def evaluate_seg(gt: str | Path, result: str | Path, task: str = 'sem_seg', nproc: int = 0) -> Scores:
    """The official ``IoU``, ``Acc`` (right by predicted pixels), ``fIoU`` and ``pAcc``, in percent.

    Args:
        gt, result: Two folders of PNG masks (class ids, 255 unlabeled; background of ``drivable`` is 2),
            or two Scalabel files or folders with run-length codes. An image without prediction counts
            as predicted to be of no class.
        task: ``sem_seg`` or ``drivable``.
        nproc: Threads; 0 for up to four.

    Raises:
        LabelFileError: Naming the file, and the frame or the pixel value.
    """
    classes = CLASSES[task]
    result = _given(gt, result, task)
    if are_bitmasks(gt, result):
        found = list(
            in_threads(
                lambda pair: _from_files(pair[0], pair[1], len(classes)), pair_files(gt, result), nproc
            )
        )
        counts = sum(part for part, _ in found)
        beyond = np.flatnonzero(
            np.any([predicted for _, predicted in found], 0)[len(classes) + 1 : UNLABELED]
        )
        told((beyond + len(classes) + 1).tolist(), 'predicted pixel values are no class and count as wrong')
    else:
        pairs = pair_frames(read_frames(gt, classes), read_frames(result, classes))
        counts = sum(_from_frames(*pair, classes) for pair in pairs)
    return seg_scores(counts, classes)


def joint_histogram(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """(256, 256) pixels by true and predicted value of two uint8 arrays of one size."""
    pairs = gt.ravel().astype(np.uint16) * np.uint16(256) + pred.ravel()
    return np.bincount(pairs, minlength=1 << 16).reshape(256, 256)


def confusion(values: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels by (true class, predicted class), (C, C + 1), from a joint histogram.

    The last column counts predictions outside the classes. Pixels whose truth is outside do not count.
    """
    known = values[:num_classes]
    return np.column_stack([known[:, :num_classes], known[:, num_classes:].sum(1)])


def seg_scores(counts: np.ndarray, classes: Sequence[str]) -> Scores:
    """Scores from the sum of `confusion` over all images; AVERAGE is over classes with ground truth."""
    right, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)[:-1]
    present, nan = true > 0, float('nan')
    with np.errstate(invalid='ignore', divide='ignore'):
        values = dict(IoU=right / (true + predicted - right), Acc=right / predicted)
        scores: dict[str, Any] = {}
        for key, value in values.items():
            value[np.isnan(value)] = 0
            mean = float(value[present].mean()) * 100 if present.any() else nan
            scores[key] = [dict(zip(classes, (100 * value).tolist())), {'AVERAGE': mean}]
        scores['fIoU'] = float((values['IoU'] * (true / true.sum())).sum()) * 100
        scores['pAcc'] = float(right.sum() / counts.sum()) * 100
    return Scores(scores)


def _given(gt: str | Path, result: str | Path, task: str) -> str | Path:
    """The part of a folder that our tools wrote, its masks or its codes, that is of the ground truth's kind."""
    masks, codes = Path(result, 'masks'), Path(result, f'{task}.json')
    if not (masks.is_dir() and codes.is_file()):
        return result
    return masks if Path(gt).is_dir() and visible_files(Path(gt), '.png') else codes


def _from_files(gt_path: Path, pred_path: Path | None, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """`confusion` of an image, and (256,) the values that are predicted where there is ground truth."""
    values = joint_histogram(*read_pair(gt_path, pred_path, 1))
    refuse_unknown(values.sum(1), num_classes, gt_path)
    return confusion(values, num_classes), np.asarray(values[:num_classes].any(0))


def refuse_unknown(there: np.ndarray, num_classes: int, path: Path) -> None:
    """Raise LabelFileError where a true mask has values (256,) that no class has."""
    unknown = np.flatnonzero(there[num_classes + 1 : UNLABELED]) + num_classes + 1
    if len(unknown):
        raise LabelFileError(
            f'{path}: pixel value {unknown[0]}; expected class ids 0 to {num_classes - 1}, {num_classes} or '
            f'{UNLABELED} for none. Is this the mask of another task (or a bitmask or color map)?'
        )


def _from_frames(gt, pred, classes: tuple[str, ...]) -> np.ndarray:
    if not gt.labels:
        return np.zeros((len(classes), len(classes) + 1), np.int64)
    return confusion(joint_histogram(_paint(gt, gt, classes), _paint(pred, gt, classes)), len(classes))


def _paint(frame, like, classes: tuple[str, ...]) -> np.ndarray:
    """(W, H) class ids of a frame, later labels over earlier ones, of the size of ``like``'s masks."""
    height, width = like.size
    painted = np.full((width, height), UNLABELED, np.uint8)  # transposed, as the codes run down columns
    for label in frame.labels:
        painted[coco_mask.decode(label.rle).T > 0] = classes.index(label.category)
    return painted
