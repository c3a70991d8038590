"""The metric of detection: COCO's scores as BDD100K's official tool has them, or prediction files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from .categories import ANY, BDD100K
from .columns import FRAME_ATTRIBUTES, Columns
from .format import Prediction, check_same, finite, not_finite, write_predictions
from .index import indexed_columns
from .run_metric import LabeledRunMetric
from .scalabel import DET_CLASSES, det_classes

if TYPE_CHECKING:
    from .dataset import ScalabelDetDataset
    from .eval.result import Scores


@METRICS.register_module()
class ScalabelDetMetric(LabeledRunMetric):
    """COCO's scores of the images that were run, over the classes that the model has.

    Args:
        ann_file: Ground truth (Scalabel or COCO).
        extras: Fields of ``pred_instances`` (one number a detection) that det.json carries too, with their
            names there.
        backend: COCO backend of the scores (see ``mmroad.bdd100k.eval``).
        **kwargs: As `LabeledRunMetric`. The files are det.json and det.coco.json.

    Raises:
        LabelFileError: ``ann_file`` cannot be used.
        ValueError: The data set has no classes; images that were run are not in the ground truth;
            predictions are NaN or infinite (after what can be written is written).
    """

    default_prefix = 'det'
    #: What the categories of the ground truth may be.
    CATEGORIES = ANY

    def __init__(
        self,
        ann_file: str | None = None,
        *,
        extras: dict[str, str] | None = None,
        backend: str = 'auto',
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, **kwargs)
        self.extras = dict(ood_scores='ood_score') if extras is None else dict(extras)
        self.backend = backend
        self.classes: tuple[str, ...] = self.CATEGORIES.classes or ()
        self._image_ids: np.ndarray | None = None
        self._category_ids: dict[str, int] | None = None

    def _read(self, ann_file: str) -> Columns:
        columns = indexed_columns(ann_file, self.CATEGORIES)
        columns.check_boxes()
        return columns

    @property
    def dataset_meta(self) -> dict | None:
        """Meta data of the data set; its classes are the model's."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None) -> None:
        self._dataset_meta = meta
        names = (meta or {}).get('classes') or self.CATEGORIES.classes
        if not names:
            raise ValueError(
                f'{type(self).__name__}: the data set names no classes: give it metainfo=dict(classes=...)'
            )
        self.classes = (names,) if isinstance(names, str) else tuple(names)

    def use(self, dataset: ScalabelDetDataset) -> None:
        columns = dataset.columns
        self._image_ids = columns.image_ids
        self._category_ids = dict(zip(columns.classes, columns.category_ids))
        super().use(dataset)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            name = sample.get('file_name') or Path(sample['img_path']).name
            if self.is_left_out(sample, name):
                continue
            predicted = sample['pred_instances']
            extras = {
                name: predicted[field].double().tolist()
                for field, name in self.extras.items()
                if field in predicted
            }
            self.add(
                Prediction(
                    index=int(sample['img_id']),
                    name=name,
                    bboxes=predicted['bboxes'].double().tolist(),
                    scores=predicted['scores'].double().tolist(),
                    labels=predicted['labels'].tolist(),
                    extras=extras,
                )
            )

    def _write(self, predictions: Iterable[Prediction], size: int) -> tuple[Path, Path]:
        size -= len(self.left_out)
        return write_predictions(
            predictions, self.format_dir, size, self.classes, self._image_ids, self._category_ids
        )

    def compute_metrics(self, results: list[Prediction]) -> dict[str, float]:
        """Scores of the images that were run: the official keys, and ``AP/class`` for each class of the model."""
        broken = {p.name: len(p.scores) - len(finite(p).scores) for p in results if finite(p) is not p}
        if broken:
            raise ValueError(not_finite(broken, 'predictions'))
        pred = to_columns(results, self.classes)
        scores, every = self._scores(pred, self._frames_of(pred.names))
        print_log(scores.table(), logger='current')
        if scores is not every:
            there = [name for name, value in every['AP'][0].items() if not math.isnan(value)]
            classes = list(scores['AP'][0])
            print_log(
                f'OVERALL is the mean over the {len(classes)} classes of the model ({", ".join(classes)}). Over the '
                f'{len(there)} classes that the ground truth has ({", ".join(there)}), AP is '
                f'{every["AP"][1]["OVERALL"]:.1f}.',
                logger='current',
            )
        return scores.summary()

    def _scores(self, pred: Columns, keep: np.ndarray) -> tuple[Scores, Scores]:
        """Over the model's classes, and over all that the ground truth has too."""
        from .eval.det import align, scores_of

        other = [name for name in self._truth.classes if name not in self.classes]
        classes = (*self.classes, *other)
        data = align(self._truth.of_classes(classes), pred.of_classes(classes), keep)
        every = scores_of(data, self.backend)
        return every.over(self.classes) if other else every, every

    def _frames_of(self, names: Sequence[str]) -> np.ndarray:
        """(m,) bool, the frames of the ground truth that were run; says what is scored."""
        run = set(names)
        keep = np.array([name in run for name in self._truth.names], bool)
        lacking = sorted(run.difference(self._truth.names))
        if not keep.any():
            here = next(iter(self._truth.names), None)
            raise ValueError(
                f'{self._truth.source}: none of the {len(run)} images of the data set, such as {lacking[:1]}, is in '
                f'this ground truth, which has {len(keep)} frames, such as {here!r}. Is it of another set? Data set '
                'and evaluator must have the same ann_file'
            )
        if lacking:
            print_log(
                f'{self._truth.source}: {len(lacking)} of {len(run)} images are not in this ground truth and are not '
                f'scored, such as {lacking[0]!r}',
                logger='current',
                level=logging.WARNING,
            )
        if not keep.all():
            print_log(
                f'{self._truth.source}: {int(keep.sum())} of its {len(keep)} frames are run and scored',
                logger='current',
            )
        return keep


def to_columns(predictions: Sequence[Prediction], classes: Sequence[str] = DET_CLASSES) -> Columns:
    """Predictions, of several ranks in any order, as columns, as if read from their det.json.

    Args:
        predictions: Of an index that is in several the first counts, as in det.json.
        classes: The model's, in its order.
    """
    first: dict[int, Prediction] = {}
    for prediction in predictions:
        check_same(prediction, first.setdefault(prediction.index, prediction).name)
    frames = [p for _, p in sorted(first.items())]
    counts = [len(p.scores) for p in frames]
    boxes = np.array([b for p in frames for b in p.bboxes], float).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    boxes[:, 2:] += boxes[:, :2] - 1
    labels = np.array([c for p in frames for c in p.labels], np.int16)
    n = len(boxes)
    return Columns(
        names=[p.name for p in frames],
        videos=[None] * len(frames),
        has_labels=np.array(counts, int) > 0,
        attributes={k: np.zeros(len(frames), np.int16) for k in FRAME_ATTRIBUTES},
        attribute_values={k: [''] for k in FRAME_ATTRIBUTES},
        frame=np.repeat(np.arange(len(frames), dtype=np.int32), counts),
        category=labels,
        xyxy=boxes,
        score=np.array([s for p in frames for s in p.scores], float),
        ignored=np.zeros(n, bool),
        crowd=np.zeros(n, bool),
        source='predictions',
        classes=tuple(classes),
    )


@METRICS.register_module()
class BDD100KDetMetric(ScalabelDetMetric):
    """`ScalabelDetMetric` of BDD100K's ten classes: the official scores, and of a model of fewer the mean over its own.

    Raises:
        ValueError: The data set has a class that is none of BDD100K's (files can hold it: ``format_only``).
    """

    default_prefix = 'bdd100k'
    CATEGORIES = BDD100K

    @property
    def dataset_meta(self) -> dict | None:
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None) -> None:
        ScalabelDetMetric.dataset_meta.fset(self, meta)
        try:
            self.classes = det_classes(self.classes)
        except ValueError:
            if not self.format_only:
                raise

    def _scores(self, pred: Columns, keep: np.ndarray) -> tuple[Scores, Scores]:
        from .eval.det import align, scores_of

        every = scores_of(align(self._truth, pred.of_classes(DET_CLASSES), keep), self.backend)
        classes = [name for name in DET_CLASSES if name in self.classes]
        return every if len(classes) == len(DET_CLASSES) else every.over(classes), every
