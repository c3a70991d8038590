"""The metric of BDD100K box tracking: official scores, or prediction files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from .eval.track import counts_of_videos, scores_of
from .eval.track_pairing import pair_frames
from .format import not_finite
from .index import indexed_columns
from .run_metric import LabeledRunMetric
from .track_columns import TRACK_CLASSES, TRACKS, TrackColumns
from .track_format import TrackPrediction, finite_tracks, to_track_columns, write_tracks


@METRICS.register_module()
class BDD100KTrackMetric(LabeledRunMetric):
    """Official scores of the frames that were run.

    A frame whose image could not be read is written and scored as empty.

    Args:
        ann_file: Ground truth of box tracking.
        per_video: Write ``box_track/VIDEO.json`` too.
        **kwargs: As `LabeledRunMetric`. The files are box_track.json and box_track.zip.

    Raises:
        LabelFileError: ``ann_file`` cannot be used.
        ValueError: Frames that were run are not in the ground truth; predictions are NaN or infinite (after what
            can be written is written).
        RuntimeError: Frames of the data set have no prediction.
    """

    default_prefix = 'bdd100k'
    PREDICTION = TrackPrediction
    LEFT_OUT = 'images that cannot be read, frames without a track'

    def __init__(self, ann_file: str | None = None, *, per_video: bool = False, **kwargs: Any) -> None:
        super().__init__(ann_file, **kwargs)
        self.per_video = per_video

    def _read(self, ann_file: str) -> TrackColumns:
        return indexed_columns(ann_file, kind=TRACKS)

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the model, in its order."""
        return tuple((self.dataset_meta or {}).get('classes') or TRACK_CLASSES)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for video in data_samples:
            for sample in video['video_data_samples']:
                name = f'{sample.video_name}/{sample.file_name}'
                self.add(
                    _prediction(
                        sample, None if self.is_left_out(sample, name) else sample.pred_track_instances
                    )
                )

    def _write(self, predictions: Iterable[TrackPrediction], size: int) -> list[Path]:
        parts = list(predictions)
        if len(parts) != size:
            raise RuntimeError(
                f'{len(parts)} of {size} frames have predictions: a rank ended early; nothing is written'
            )
        return write_tracks(parts, self.format_dir, self.classes, self.per_video)[:2]

    def compute_metrics(self, results: list[TrackPrediction]) -> dict[str, float]:
        """Scores of the frames that were run: the official summary, and ``MOTA/class`` and ``IDF1/class``."""
        broken = {p.name: len(p.scores) - len(k.scores) for p in results if (k := finite_tracks(p)) is not p}
        if broken:
            raise ValueError(not_finite(broken, 'predictions'))
        first: dict[int, TrackPrediction] = {}
        for prediction in results:
            first.setdefault(prediction.index, prediction)
        frames = [p for _, p in sorted(first.items())]
        truth = self._frames_of([(p.video, p.name) for p in frames])
        pairing = pair_frames(truth, to_track_columns(frames, self.classes))
        scores = scores_of(counts_of_videos(pairing).values())
        print_log(scores.table(), logger='current')
        named = {f'{key}/{name}': v for key in ('MOTA', 'IDF1') for name, v in scores[key][0].items()}
        return scores.summary() | named

    def _frames_of(self, keys: Sequence[tuple[str | None, str]]) -> TrackColumns:
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


def _prediction(sample, tracks) -> TrackPrediction:
    """What was tracked in a frame; None where its image could not be read."""
    fields = dict(bboxes=[], scores=[], labels=[], ids=[])
    if tracks is not None:
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
