"""The metric of BDD100K detection: official scores, or prediction files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.registry import METRICS
from mmengine.dist import all_gather_object, barrier, broadcast_object_list, get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from .columns import FRAME_ATTRIBUTES, Columns
from .format import PartWriter, Prediction, merge_parts
from .index import indexed_columns
from .scalabel import DET_CLASSES


@METRICS.register_module()
class BDD100KDetMetric(BaseMetric):
    """Args:
    ann_file: Ground truth (Scalabel); not needed with ``format_only``.
    format_only: Write det.json and det.coco.json to ``format_dir`` and score nothing.
    format_dir: Folder of the prediction files; given without ``format_only``, both are done.
    extras: Fields of ``pred_instances`` (one number a detection) that det.json carries too, with their
        names there.
    backend: COCO backend of the scores (see ``mmroad.bdd100k.eval``).
    """

    default_prefix = 'bdd100k'

    def __init__(
        self,
        ann_file: str | None = None,
        format_only: bool = False,
        format_dir: str | None = None,
        extras: dict[str, str] | None = None,
        backend: str = 'auto',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and not format_dir:
            raise ValueError('format_only needs a folder: format_dir=... (tools/test.py: --format-dir OUT)')
        if not format_only and not ann_file:
            raise ValueError('scoring needs the ground truth: ann_file=...; or set format_only=True')
        self.ann_file, self.format_only, self.format_dir = ann_file, format_only, format_dir
        self.extras = dict(ood_scores='ood_score') if extras is None else dict(extras)
        self.backend = backend
        self._writer: PartWriter | None = None

    @property
    def classes(self) -> Sequence[str]:
        return (self.dataset_meta or {}).get('classes', DET_CLASSES)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            predicted = sample['pred_instances']
            prediction = Prediction(
                index=int(sample['img_id']),
                name=sample.get('file_name') or Path(sample['img_path']).name,
                bboxes=predicted['bboxes'].double().tolist(),
                scores=predicted['scores'].double().tolist(),
                labels=predicted['labels'].tolist(),
                extras={
                    name: predicted[field].double().tolist()
                    for field, name in self.extras.items()
                    if field in predicted
                },
            )
            if self.format_dir:
                self._open_part().add(prediction)
            if not self.format_only:
                self.results.append(prediction)

    def _open_part(self) -> PartWriter:
        if self._writer is None:
            self._writer = PartWriter(self.format_dir, get_rank())
        return self._writer

    def evaluate(self, size: int) -> dict[str, float]:
        """Merge what the ranks have written, score what they have predicted; ``size`` images in all."""
        if self.format_dir:
            self._open_part().close()
            self._writer = None
            barrier()
            if get_rank() == 0:
                for path in merge_parts(self.format_dir, get_world_size(), size, self.classes):
                    print_log(f'written: {path}', logger='current')
            barrier()
        if self.format_only:
            return {}
        gathered = [prediction for part in all_gather_object(self.results) for prediction in part]
        self.results.clear()
        metrics = [self.compute_metrics(gathered) if get_rank() == 0 else None]
        broadcast_object_list(metrics)
        return metrics[0]

    def compute_metrics(self, results: list[Prediction]) -> dict[str, float]:
        """Scores of the predictions of all images: the official keys, and ``AP/class`` for each class."""
        from .eval.det import evaluate_det

        scores = evaluate_det(
            indexed_columns(self.ann_file), to_columns(results, self.classes), backend=self.backend
        )
        print_log(scores.table(), logger='current')
        prefix = f'{self.prefix}/' if self.prefix else ''
        return {f'{prefix}{key}': value for key, value in scores.summary().items()}


def to_columns(predictions: Sequence[Prediction], classes: Sequence[str] = DET_CLASSES) -> Columns:
    """Predictions, of several ranks in any order, as columns, as if read from their det.json."""
    frames = [p for _, p in sorted({p.index: p for p in predictions}.items())]
    counts = [len(p.scores) for p in frames]
    boxes = np.array([b for p in frames for b in p.bboxes], float).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    boxes[:, 2:] += boxes[:, :2] - 1
    column = np.array([DET_CLASSES.index(c) for c in classes], np.int16)
    labels = np.array([c for p in frames for c in p.labels], int)
    n = len(boxes)
    return Columns(
        names=[p.name for p in frames],
        videos=[None] * len(frames),
        has_labels=np.array(counts, int) > 0,
        attributes={k: np.zeros(len(frames), np.int16) for k in FRAME_ATTRIBUTES},
        attribute_values={k: [''] for k in FRAME_ATTRIBUTES},
        frame=np.repeat(np.arange(len(frames), dtype=np.int32), counts),
        category=column[labels],
        xyxy=boxes,
        score=np.array([s for p in frames for s in p.scores], float),
        ignored=np.zeros(n, bool),
        crowd=np.zeros(n, bool),
        source='predictions',
    )
