"""Scores of instance segmentation, which the official tool computes in two ways.

Bitmasks are matched by plain IoU, crowds included; run-length codes go through COCO's evaluation.
"""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path

import msgspec
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ...files.rle import areas
from ..scalabel import DET_CLASSES, IGNORE_MAPPING, NAME_MAPPING, LabelFileError, decode_frames
from .det import IOU_THRESHOLDS, coco_scores, coco_tables, no_predictions, run_coco
from .masks import (
    MaskFrame,
    are_bitmasks,
    in_threads,
    overlaps,
    pair_files,
    pair_frames,
    pair_names,
    read_frames,
    read_pair,
    segments,
    stem,
    told_categories,
    without_overlaps,
)
from .result import Scores, told

CLASSES = tuple(DET_CLASSES[:8])


class _Scored(msgspec.Struct):
    index: int
    score: float


class _ScoredFrame(msgspec.Struct):
    name: str
    labels: list[_Scored] | None = None


def evaluate_ins_seg(
    gt: str | Path, result: str | Path, score_file: str | Path | None = None, nproc: int = 0
) -> tuple[Scores, list[str]]:
    """The twelve COCO numbers of masks, of every class and over all, in percent.

    Args:
        gt, result: Two folders of RGBA bitmasks, or two Scalabel files or folders with run-length codes.
        score_file: Scores of bitmasks: frames with ``labels[].index`` (the instance) and ``score``.
        nproc: Threads for bitmasks; 0 for up to four.

    Returns:
        The scores, and the names of predicted frames (run-length codes) that count as empty because
        their masks overlap.

    Raises:
        LabelFileError: Naming the file and the frame, label or instance.
    """
    if are_bitmasks(gt, result):
        if score_file is None:
            raise LabelFileError(f'{result}: bitmasks carry no scores: give the file of them (--score-file)')
        return _bitmasks(gt, result, Path(score_file), nproc), []
    pairs = pair_frames(*(read_frames(path, CLASSES, NAME_MAPPING, IGNORE_MAPPING) for path in (gt, result)))
    pairs.sort(key=lambda pair: pair[0].name)
    overlapping = without_overlaps(pairs)
    return scores_of_codes(pairs, result), overlapping


def scores_of_codes(pairs: list[tuple[MaskFrame, MaskFrame]], result: str | Path) -> Scores:
    """COCO's evaluation of run-length codes."""
    gt, dt = COCO(), COCO()
    images, categories = coco_tables(len(pairs), CLASSES)
    for k, coco in enumerate((gt, dt)):
        coco.dataset = dict(images=images, categories=categories, annotations=[])
        for i, frames in enumerate(pairs):
            masks = [label.rle for label in frames[k].labels]
            for label, rle, area in zip(frames[k].labels, masks, areas(masks)):
                coco.dataset['annotations'].append(
                    dict(
                        id=len(coco.dataset['annotations']) + 1,
                        image_id=i + 1,
                        category_id=CLASSES.index(label.category) + 1,
                        segmentation=rle,
                        area=int(area),
                        iscrowd=int(k == 0 and label.ignored),
                        ignore=0,
                        score=label.score,
                    )
                )
                if k == 1 and label.score is None:
                    raise LabelFileError(
                        f'{result}: frame {frames[k].name!r}: a {label.category} has no score; '
                        'every predicted label needs "score"'
                    )
    if not dt.dataset['annotations']:
        return no_predictions({a['category_id'] for a in gt.dataset['annotations']}, CLASSES)
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        dt.createIndex()
    return coco_scores(run_coco(COCOeval, gt, dt, 'segm'), CLASSES)


def _bitmasks(gt: str | Path, result: str | Path, score_file: Path, nproc: int) -> Scores:
    pairs = pair_files(gt, result)
    missing = [path.name for path, predicted in pairs if predicted is None]
    if missing:
        raise LabelFileError(
            f'{result}: no bitmask {missing[0]} ({len(missing)} of {len(pairs)} images have none); '
            'write an empty one for an image without predictions'
        )
    scores = _read_scores(score_file)
    names = list(scores)
    rows = pair_names([stem(path, gt) for path, _ in pairs], names, gt, score_file)
    unscored = [path.name for (path, _), row in zip(pairs, rows) if row < 0]
    if unscored:
        raise LabelFileError(f'{score_file}: no frame {unscored[0]!r} ({len(unscored)} images have none)')
    told(
        [names[i] for i in sorted(set(range(len(names))) - set(rows))],
        'frames of the score file are of no image',
    )
    pairs = [(*pair, scores[names[row]]) for pair, row in zip(pairs, rows)]
    found = in_threads(lambda pair: match_bitmasks(*read_pair(*pair[:2], 4), *pair), pairs, nproc)
    return scores_of_matches(list(found))


def scores_of_matches(found: list[tuple[list[dict | None], np.ndarray]]) -> Scores:
    """Scores from `match_bitmasks` of every image, in the order of their names."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(iouType='segm')
        params = evaluation.params
        params.imgIds, params.catIds = list(range(len(found))), list(range(1, len(CLASSES) + 1))
        # COCO's order: class, area, image
        evaluation.evalImgs = [e for rows in zip(*(records for records, _ in found)) for e in rows]
        evaluation._paramsEval = copy.deepcopy(params)
        evaluation.accumulate()
    told_categories(np.unique(np.concatenate([categories for _, categories in found])), len(CLASSES))
    return coco_scores(evaluation.eval, CLASSES)


def _read_scores(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(instance, score) of every image, best first, by its name without suffix."""
    if not path.is_file():
        raise LabelFileError(f'{path}: no such score file')
    scores = {}
    for frame in decode_frames(path.read_bytes(), path, _ScoredFrame):
        pairs = sorted(((x.index, x.score) for x in frame.labels or ()), key=lambda x: -x[1])
        if len({index for index, _ in pairs}) < len(pairs):
            raise LabelFileError(f'{path}: frame {frame.name!r}: two labels have the same index')
        name = Path(frame.name).with_suffix('').as_posix()
        if name in scores:
            raise LabelFileError(f'{path}: two frames are called {name!r}')
        scores[name] = pairs
    return scores


def match_bitmasks(
    gt: np.ndarray, pred: np.ndarray, gt_path: Path, pred_path: Path, scores: list[tuple[int, float]]
) -> tuple[list[dict | None], np.ndarray]:
    """COCO's record of one image for every class and area range, None where it holds nothing; and the categories
    of its instances.

    Args:
        gt, pred: Bitmasks (H, W, 4).
        gt_path, pred_path: Their files, for messages.
        scores: Ids of predicted instances and their scores, best first.
    """
    pred = pred.copy()
    pred[..., 1] = 0  # a prediction has no attributes
    gt_values, pred_values, inter = overlaps(gt, pred)
    gt_rows, _, gt_class, gt_attributes = segments(gt_values, gt_path)
    pred_rows, pred_ids, pred_class, _ = segments(pred_values, pred_path)
    row_of = {index: row for row, index in enumerate(pred_ids.tolist())}
    scores = [(row_of[index], score) for index, score in scores if index in row_of]
    order = np.array([row for row, _ in scores], np.int64)
    pred_rows, pred_class = pred_rows[order], pred_class[order]
    score = np.array([s for _, s in scores], float)
    gt_area, pred_area = inter.sum(1)[gt_rows], inter.sum(0)[pred_rows]
    inter = inter[gt_rows][:, pred_rows].T
    iou = inter / (pred_area[:, None] + gt_area[None] - inter)

    records = []
    for category in range(1, len(CLASSES) + 1):
        g, d = np.flatnonzero(gt_class == category), np.flatnonzero(pred_class == category)
        matches = _greedy(iou[np.ix_(d, g)], gt_attributes[g] & 2 > 0)
        for area in COCOeval(iouType='segm').params.areaRng:
            if not len(g) and not len(d):
                records.append(None)
                continue
            ignore = (gt_attributes[g] & 1 > 0) | (gt_area[g] < area[0]) | (gt_area[g] > area[1])
            outside = (pred_area[d] < area[0]) | (pred_area[d] > area[1])
            on_ignored = np.append(ignore, False)[matches]
            records.append(
                dict(
                    dtScores=score[d],
                    dtMatches=matches >= 0,
                    dtIgnore=np.where(matches >= 0, on_ignored, outside),
                    gtIgnore=ignore,
                )
            )
    return records, np.concatenate([gt_class, pred_class])


def _greedy(iou: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """(thresholds, predictions) index of the truth that each takes in turn, the one it overlaps most; -1: none.

    Only crowds can be taken more than once.
    """
    matches = np.full((len(IOU_THRESHOLDS), len(iou)), -1)
    if not crowd.size:
        return matches
    free = np.ones((len(IOU_THRESHOLDS), len(crowd)))
    rows = np.arange(len(IOU_THRESHOLDS))
    for d, overlap in enumerate(iou):
        candidates = overlap * free
        best = candidates.argmax(1)
        hit = candidates[rows, best] >= IOU_THRESHOLDS
        matches[hit, d] = best[hit]
        free[rows[hit], best[hit]] = crowd[best[hit]]
    return matches
