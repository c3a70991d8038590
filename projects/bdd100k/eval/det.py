"""Detection scores: COCO's evaluation as the official BDD100K tool runs it.

Ground truth is crowd where it is crowd or ignored; images are sorted by name; of predicted frames
with one name the last counts; frames without predictions are empty; predictions for other frames are
left out.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..columns import Columns
from ..scalabel import LabelFileError
from .result import Scores

#: key -> (array, IoU threshold, area, index of the detection limit)
METRICS = {
    'AP': ('precision', None, 'all', 2),
    'AP50': ('precision', 0.5, 'all', 2),
    'AP75': ('precision', 0.75, 'all', 2),
    'APs': ('precision', None, 'small', 2),
    'APm': ('precision', None, 'medium', 2),
    'APl': ('precision', None, 'large', 2),
    'AR1': ('recall', None, 'all', 0),
    'AR10': ('recall', None, 'all', 1),
    'AR100': ('recall', None, 'all', 2),
    'ARs': ('recall', None, 'small', 2),
    'ARm': ('recall', None, 'medium', 2),
    'ARl': ('recall', None, 'large', 2),
}
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = ('all', 'small', 'medium', 'large')


@dataclass
class Matchable:
    """Ground truth and predictions of the same images, as COCO columns."""

    num_images: int
    gt_image: np.ndarray  #: (g,) 1..num_images
    gt_category: np.ndarray  #: (g,) 1..K
    gt_bbox: np.ndarray  #: (g, 4) x, y, width, height
    gt_crowd: np.ndarray  #: (g,) bool
    dt_image: np.ndarray
    dt_category: np.ndarray
    dt_bbox: np.ndarray
    dt_score: np.ndarray
    missing: list[str]  #: names of images without a predicted frame
    extra: list[str]  #: predicted frames of other images
    frames: np.ndarray  #: (num_images,) row of each image in the ground truth's columns
    gt_rows: np.ndarray  #: (g,) row of each box there
    classes: tuple[str, ...] = ()  #: names of the categories, 1 first
    gt_area: np.ndarray | None = None  #: (g,) pixels; None is width times height


def evaluate_det(
    gt: Columns, pred: Columns, *, backend: str = 'auto', classes: Sequence[str] | None = None
) -> Scores:
    """The official scores of predictions.

    Args:
        gt, pred: ``read_columns`` of the ground truth and of the predictions.
        backend: ``hotcoco``, ``pycocotools``, or ``auto`` for the first of them that is installed.
        classes: Those of a model that has fewer: the mean is over them. None for all of the files' (BDD100K's ten,
            as the official tool has it).

    Raises:
        LabelFileError: A prediction without a score.
    """
    return scores_of(align(gt, pred), backend, classes)


def align(gt: Columns, pred: Columns, keep: np.ndarray | None = None) -> Matchable:
    """Bring predictions to the images of the ground truth.

    Args:
        keep: (m,) bool, the ground-truth frames to use; None for all.

    Raises:
        LabelFileError: A prediction without a score.
        ValueError: The classes of both differ (`Columns.of_classes` brings them to one list).
    """
    if pred.classes != gt.classes:
        raise ValueError(f'classes of the ground truth {gt.classes}, of the predictions {pred.classes}')
    if np.isnan(pred.score).any():
        i = int(np.isnan(pred.score).argmax())
        raise LabelFileError(
            f'{pred.source}: frame {pred.names[pred.frame[i]]!r}: a {pred.classes[pred.category[i]]} has no score; '
            'every predicted label needs "score"'
        )
    names = list(gt.names)
    rows = [i for i in range(len(names)) if keep is None or keep[i]]
    rows.sort(key=names.__getitem__)
    pred_names = list(pred.names)
    gt_keys, pred_keys = names, pred_names
    if len(set(pred_names)) < len(pred_names) and all(pred.videos) and all(gt.videos):
        gt_keys = [f'{v}/{n}' for v, n in zip(gt.videos, names)]
        pred_keys = [f'{v}/{n}' for v, n in zip(pred.videos, pred_names)]
    last = {key: row for row, key in enumerate(pred_keys)}
    matched = [last.get(gt_keys[row], -1) for row in rows]
    present = set(gt_keys)
    gt_source, gt_image = _gather(gt, rows)
    dt_source, dt_image = _gather(pred, matched)
    return Matchable(
        num_images=len(rows),
        gt_image=gt_image,
        gt_category=gt.category[gt_source].astype(np.int64) + 1,
        gt_bbox=gt.xywh[gt_source],
        gt_crowd=(gt.crowd | gt.ignored)[gt_source],
        dt_image=dt_image,
        dt_category=pred.category[dt_source].astype(np.int64) + 1,
        dt_bbox=pred.xywh[dt_source],
        dt_score=pred.score[dt_source],
        missing=[names[row] for row, m in zip(rows, matched) if m < 0],
        extra=[name for name, key in zip(pred_names, pred_keys) if key not in present],
        frames=np.array(rows, np.int64),
        gt_rows=gt_source,
        classes=gt.classes,
        gt_area=None if gt.area is None else gt.area[gt_source],
    )


def _gather(columns: Columns, frames: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of frames in the order of ``frames`` (-1: none): their index, and the 1-based place of the frame."""
    first = np.searchsorted(columns.frame, np.arange(len(columns.names) + 1))
    rows = np.asarray(frames, np.int64)
    start, stop = first[rows], first[rows + 1]
    count = np.where(rows >= 0, stop - start, 0)
    image = np.repeat(np.arange(1, len(rows) + 1), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(start, count) + within, image


def scores_of(data: Matchable, backend: str = 'auto', classes: Sequence[str] | None = None) -> Scores:
    """The twelve COCO numbers of every class (or of ``classes`` alone) and over them, in percent."""
    if not len(data.dt_image):  # the official tool's own case; the COCO tools have none
        scores = no_predictions(set(data.gt_category.tolist()), data.classes)
    else:
        scores = coco_scores(_accumulate(data, backend), data.classes)
    return scores if classes is None else scores.over([name for name in data.classes if name in classes])


def no_predictions(present: set[int], classes: Sequence[str]) -> Scores:
    """Zero for the classes with ground truth (1-based), NaN for the others."""
    row = {name: 0.0 if i + 1 in present else float('nan') for i, name in enumerate(classes)}
    overall = 0.0 if present else float('nan')
    return Scores({key: [dict(row), {'OVERALL': overall}] for key in METRICS})


def coco_scores(arrays: Mapping[str, np.ndarray], classes: Sequence[str]) -> Scores:
    """Scores from COCO's ``precision`` (T, R, K, A, M) and ``recall`` (T, K, A, M)."""
    return Scores({key: _row(arrays[m[0]], classes, *m[1:]) for key, m in METRICS.items()})


def _row(
    array: np.ndarray, classes: Sequence[str], iou: float | None, area: str, limit: int
) -> list[dict[str, float]]:
    """``array`` has axes (IoU[, recall], class, area, limit); -1 marks what is not defined."""
    if iou is not None:
        array = array[np.isclose(IOU_THRESHOLDS, iou)]
    array = array[..., AREAS.index(area), limit]

    def mean(values: np.ndarray) -> float:
        values = values[values > -1]
        return float(np.mean(values)) * 100 if len(values) else float('nan')

    row = {name: mean(array[..., k].ravel()) for k, name in enumerate(classes)}
    return [row, {'OVERALL': mean(array.ravel())}]


def _accumulate(data: Matchable, backend: str) -> dict[str, np.ndarray]:
    """Precision (10, 101, K, 4, 3) and recall (10, K, 4, 3) of pycocotools' ``accumulate``."""
    if backend not in ('auto', 'hotcoco', 'pycocotools'):
        raise ValueError(f"backend must be 'auto', 'hotcoco' or 'pycocotools', not {backend!r}")
    if backend != 'pycocotools':
        try:
            return _hotcoco(data)
        except ImportError:
            if backend == 'hotcoco':
                raise
    return _pycocotools(data)


def coco_tables(num_images: int, classes: Sequence[str]) -> tuple[list[dict], list[dict]]:
    """COCO's images and categories; the evaluation asks for a size of images, but no score depends on it."""
    images = [dict(id=i + 1, height=720, width=1280, file_name=str(i)) for i in range(num_images)]
    return images, [dict(id=i + 1, name=name) for i, name in enumerate(classes)]


def _hotcoco(data: Matchable) -> dict[str, np.ndarray]:
    import hotcoco

    images, categories = coco_tables(data.num_images, data.classes)
    gt = hotcoco.COCO.from_arrays(
        images,
        categories,
        data.gt_image,
        data.gt_category,
        data.gt_bbox,
        iscrowd=data.gt_crowd.astype(np.int64),
        area=data.gt_area,
    )
    rows = np.column_stack([data.dt_image, data.dt_bbox, data.dt_score, data.dt_category])
    return run_coco(hotcoco.COCOeval, gt, gt.load_res(rows))


def _pycocotools(data: Matchable) -> dict[str, np.ndarray]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, categories = coco_tables(data.num_images, data.classes)
    with contextlib.redirect_stdout(io.StringIO()):
        gt, dt = COCO(), COCO()
        area = data.gt_bbox[:, 2:].prod(1) if data.gt_area is None else data.gt_area
        columns = (data.gt_image, data.gt_category, data.gt_bbox, data.gt_crowd, area)
        boxes = zip(*(column.tolist() for column in columns))
        gt.dataset = dict(
            images=images,
            categories=categories,
            annotations=[
                dict(
                    id=k + 1,
                    image_id=i,
                    category_id=c,
                    bbox=b,
                    area=a,
                    iscrowd=int(crowd),
                    ignore=0,
                )
                for k, (i, c, b, crowd, a) in enumerate(boxes)
            ],
        )
        boxes = zip(
            data.dt_image.tolist(), data.dt_category.tolist(), data.dt_bbox.tolist(), data.dt_score.tolist()
        )
        dt.dataset = dict(
            images=images,
            categories=categories,
            annotations=[
                dict(id=k + 1, image_id=i, category_id=c, bbox=b, area=b[2] * b[3], iscrowd=0, score=s)
                for k, (i, c, b, s) in enumerate(boxes)
            ],
        )
        gt.createIndex()
        dt.createIndex()
        return run_coco(COCOeval, gt, dt)


def run_coco(evaluator: type, gt, dt, kind: str = 'bbox') -> dict[str, np.ndarray]:
    """``precision`` and ``recall`` of an evaluator with pycocotools' interface."""
    with contextlib.redirect_stdout(io.StringIO()):
        run = evaluator(gt, dt, kind)
        run.evaluate()
        run.accumulate()
    return {key: np.asarray(run.eval[key]) for key in ('precision', 'recall')}
