"""The metric of BDD100K box tracking: official scores, or prediction files."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmdet.registry import METRICS
from mmengine.dist import all_gather_object, barrier, broadcast_object_list, get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..files.replacing import own_name
from .eval.track import counts_of_videos, scores_of
from .eval.track_pairing import pair_frames
from .format import PartWriter, not_finite, read_parts
from .index import indexed_columns
from .metric import _check_folder
from .track_columns import TRACK_CLASSES, TRACKS, TrackColumns
from .track_format import TrackPrediction, finite_tracks, to_track_columns, write_tracks

if TYPE_CHECKING:
    from .track_dataset import BDD100KTrackDataset


@METRICS.register_module()
class BDD100KTrackMetric(BaseMetric):
    """Official scores of the frames that were run.

    Args:
        ann_file: Ground truth of box tracking; not needed with ``format_only``. It is read when the metric is built.
        of_dataset: Without ``ann_file``: score by the labels of the data set that is run. ``DetSetupHook`` of
            the run hands them over.
        format_only: Write box_track.json and box_track.zip to ``format_dir`` and score nothing.
        format_dir: Folder of the prediction files; given without ``format_only``, both are done.
        per_video: Write ``box_track/VIDEO.json`` too.

    Raises:
        LabelFileError: ``ann_file`` cannot be used.
        ValueError: Frames that were run are not in the ground truth; predictions are NaN or infinite (after what
            can be written is written).
        RuntimeError: Frames of the data set have no prediction.
    """

    default_prefix = 'bdd100k'

    def __init__(
        self,
        ann_file: str | None = None,
        format_only: bool = False,
        format_dir: str | None = None,
        per_video: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        of_dataset: bool = False,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and not format_dir:
            raise ValueError('format_only needs a folder: format_dir=... (tools/test.py: --format-dir OUT)')
        if not format_only and not ann_file and not of_dataset:
            raise ValueError(
                'scoring needs the ground truth: ann_file=..., or of_dataset=True for the labels of the data set '
                'that is run; or set format_only=True'
            )
        self.ann_file, self.format_only, self.format_dir = ann_file, format_only, format_dir
        self.per_video = per_video
        self._truth: TrackColumns | None = None
        if not format_only and ann_file:
            self._truth = indexed_columns(ann_file, kind=TRACKS)
        #: Frames whose image could not be read, by name, and why; known when the evaluation ends.
        self.left_out: dict[str, str] = {}
        self._writer: PartWriter | None = None
        self._run = ['']
        if format_dir:
            _check_folder(Path(format_dir))
            self._run = [own_name('parts')]
            broadcast_object_list(self._run)  # one for all ranks

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the model, in its order."""
        return tuple((self.dataset_meta or {}).get('classes') or TRACK_CLASSES)

    def use(self, dataset: BDD100KTrackDataset) -> None:
        """Take the data set that will be run: for its labels with ``of_dataset``, and to look now whether the
        ground truth holds its frames."""
        if self.format_only:
            return
        if not self.ann_file:
            if not dataset.ann_file:
                raise ValueError(
                    f'the videos of {dataset.data_prefix.get("img")} have no labels to score by: set ann_file of the '
                    'data set or of the metric, or write predictions only (--format-only --format-dir OUT)'
                )
            self._truth = dataset.columns
        self._of_frames(dataset.frame_keys())

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        if self._truth is None and not self.format_only:
            raise ValueError(
                'BDD100KTrackMetric has no ground truth: of_dataset=True needs default_hooks=dict(setup=dict('
                "type='DetSetupHook')), as in configs/_base_/det_runtime.py; or give ann_file=..."
            )
        for video in data_samples:
            for sample in video['video_data_samples']:
                prediction = _prediction(sample)
                if 'left_out' in sample:
                    self.left_out[f'{prediction.video}/{prediction.name}'] = sample.left_out
                if self.format_dir:
                    self._open_part().add(prediction)
                if not self.format_only:
                    self.results.append(prediction)

    def _open_part(self) -> PartWriter:
        if self._writer is None:
            self._writer = PartWriter(self.format_dir, get_rank(), self._run[0])
        return self._writer

    def evaluate(self, size: int) -> dict[str, float]:
        """Merge what the ranks have written, score what they have predicted; ``size`` frames in all. A frame whose
        image could not be read is written and scored as empty; ``left_out`` and a warning name it."""
        found = {name: why for part in all_gather_object(self.left_out) for name, why in part.items()}
        self.left_out = found
        if found:
            lines = [f'  {why}' for why in found.values()]
            text = '\n'.join([f'images that cannot be read, frames without a track ({len(found)}):', *lines])
            print_log(text, logger='current', level=logging.WARNING)
        if self.format_dir:
            self._open_part().close()
            self._writer = None
            barrier()
            if get_rank() == 0:
                self._merge(size)
            barrier()
        if self.format_only:
            return {}
        gathered = [prediction for part in all_gather_object(self.results) for prediction in part]
        self.results.clear()
        metrics = [self.compute_metrics(gathered) if get_rank() == 0 else None]
        broadcast_object_list(metrics)
        return metrics[0]

    def _merge(self, size: int) -> None:
        try:
            parts = list(read_parts(self.format_dir, get_world_size(), self._run[0], TrackPrediction))
            if len(parts) != size:
                raise RuntimeError(
                    f'{len(parts)} of {size} frames have predictions: a rank ended early; nothing is written'
                )
            for path in write_tracks(parts, self.format_dir, self.classes, self.per_video)[:2]:
                print_log(f'written: {path}', logger='current')
        finally:
            shutil.rmtree(Path(self.format_dir) / self._run[0], ignore_errors=True)

    def compute_metrics(self, results: list[TrackPrediction]) -> dict[str, float]:
        """Scores of the frames that were run: the official summary, and ``MOTA/class`` and ``IDF1/class``."""
        broken = {p.name: len(p.scores) - len(k.scores) for p in results if (k := finite_tracks(p)) is not p}
        if broken:
            raise ValueError(not_finite(broken, 'predictions'))
        first: dict[int, TrackPrediction] = {}
        for prediction in results:
            first.setdefault(prediction.index, prediction)
        frames = [p for _, p in sorted(first.items())]
        truth = self._of_frames([(p.video, p.name) for p in frames])
        pairing = pair_frames(truth, to_track_columns(frames, self.classes))
        scores = scores_of(counts_of_videos(pairing).values())
        print_log(scores.table(), logger='current')
        named = {f'{key}/{name}': v for key in ('MOTA', 'IDF1') for name, v in scores[key][0].items()}
        return {
            f'{self.prefix}/{key}' if self.prefix else key: value
            for key, value in (scores.summary() | named).items()
        }

    def _of_frames(self, keys: Sequence[tuple[str | None, str]]) -> TrackColumns:
        """The ground truth of the frames (video, name) that were run; says what is scored."""
        truth, run = self._truth, set(keys)
        keep = np.array([key in run for key in zip(truth.videos, truth.names)], bool)
        if keep.sum() < len(run):
            lacking = sorted(run.difference(zip(truth.videos, truth.names)))
            raise ValueError(
                f'{truth.source}: {len(lacking)} of {len(run)} frames of the data set, such as {lacking[0]}, are not '
                'in this ground truth. Is it of another set? Data set and evaluator must have the same ann_file'
            )
        if keep.all():
            return truth
        print_log(f'{truth.source}: {keep.sum()} of its {len(keep)} frames are run and scored', 'current')
        return frames_where(truth, keep)


def frames_where(columns: TrackColumns, keep: np.ndarray) -> TrackColumns:
    """Some of the frames, (m,) bool, and their boxes."""
    rows = np.flatnonzero(keep)
    boxes = keep[columns.frame]
    new = np.cumsum(keep) - 1
    per_box = ('category', 'xyxy', 'score', 'ignored', 'crowd', 'track')
    return replace(
        columns,
        names=[columns.names[row] for row in rows],
        videos=[columns.videos[row] for row in rows],
        has_labels=columns.has_labels[rows],
        attributes={key: codes[rows] for key, codes in columns.attributes.items()},
        frame_index=columns.frame_index[rows],
        frame=new[columns.frame[boxes]].astype(np.int32),
        files=(),
        file_rows=np.zeros(0, np.int32),
        box_attributes={},
        image_ids=None,
        **{key: getattr(columns, key)[boxes] for key in per_box},
    )


def _prediction(sample) -> TrackPrediction:
    """What was tracked in a frame."""
    fields = dict(bboxes=[], scores=[], labels=[], ids=[])
    if 'left_out' not in sample:
        tracks = sample.pred_track_instances
        fields = dict(
            bboxes=tracks.bboxes.double().tolist(),
            scores=tracks.scores.double().tolist(),
            labels=tracks.labels.tolist(),
            ids=(tracks.instances_id + 1).tolist(),
        )
    return TrackPrediction(
        index=int(sample.img_id),
        name=sample.file_name,
        video=sample.video_name,
        frame_index=int(sample.frame_index),
        **fields,
    )
