"""Tracks on disk: box_track.json (what ``bdd100k.eval.run -t box_track`` reads) and the server's box_track.zip."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..files.outputs import OutputNames
from ..files.replacing import replacing
from .columns import FRAME_ATTRIBUTES
from .format import Prediction, finite, not_finite
from .track_columns import TRACK_CLASSES, TrackColumns


class TrackPrediction(Prediction, array_like=True, kw_only=True):
    """The tracked boxes of one frame."""

    video: str  #: name of its video
    frame_index: int  #: from 0
    ids: list[int]  #: tracks of the boxes, from 1, unique in the video


def finite_tracks(prediction: TrackPrediction) -> TrackPrediction:
    """A prediction without the boxes of which a number is NaN or infinite."""
    if finite(prediction) is prediction:
        return prediction
    numbers = np.column_stack([np.array(prediction.bboxes, float).reshape(-1, 4), prediction.scores])
    keep = np.flatnonzero(np.isfinite(numbers).all(1)).tolist()
    lists = {key: getattr(prediction, key) for key in ('bboxes', 'scores', 'labels', 'ids')}
    return msgspec.structs.replace(
        prediction, extras={}, **{key: [values[i] for i in keep] for key, values in lists.items()}
    )


def frame_of(prediction: TrackPrediction, classes: Sequence[str] = TRACK_CLASSES) -> dict[str, Any]:
    """A frame as Scalabel has it: x2 and y2 inclusive, ids as texts of whole numbers."""
    boxes = inclusive(np.array(prediction.bboxes, float)).tolist()
    labels = [
        dict(id=str(track), category=classes[label], score=score, box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2))
        for track, label, score, (x1, y1, x2, y2) in zip(
            prediction.ids, prediction.labels, prediction.scores, boxes
        )
    ]
    return dict(
        name=prediction.name, videoName=prediction.video, frameIndex=prediction.frame_index, labels=labels
    )


def inclusive(bboxes: np.ndarray) -> np.ndarray:
    """(n, 4) boxes with exclusive x2 and y2 as those with inclusive ones."""
    boxes = bboxes.reshape(-1, 4).copy()
    boxes[:, 2:] -= boxes[:, :2]
    boxes[:, 2:] += boxes[:, :2] - 1
    return boxes


def write_tracks(
    predictions: Iterable[TrackPrediction],
    folder: str | Path,
    classes: Sequence[str] = TRACK_CLASSES,
    per_video: bool = False,
) -> list[Path]:
    """Write box_track.json and box_track.zip, which holds it, and the same as a file a video.

    Args:
        predictions: Of every frame, also of those without a track; videos may come in any order.
        folder: The output folder.
        classes: The classes of the labels.
        per_video: Write ``box_track/VIDEO.json`` too.

    Raises:
        ValueError: Boxes are not finite (the others are written first), or two frames are one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(predictions, key=lambda p: (p.video, p.frame_index))
    for one, other in zip(ordered, ordered[1:]):
        if (one.video, one.frame_index) == (other.video, other.frame_index):
            raise ValueError(
                f'video {one.video!r} has two frames of frameIndex {one.frame_index}: {one.name!r} and {other.name!r}'
            )
    good = [finite_tracks(p) for p in ordered]
    broken = {p.name: len(p.scores) - len(kept.scores) for p, kept in zip(ordered, good) if kept is not p}
    path, archive = folder / 'box_track.json', folder / 'box_track.zip'
    written = [path, archive]
    _write_frames(path, good, classes)
    with replacing(archive) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as file:
        file.write(path, path.name)
    if per_video:
        names = OutputNames(folder / 'box_track')
        for video, frames in groupby(good, key=lambda p: p.video):
            place = names.path(video, '.json')
            _write_frames(place, frames, classes)
            written.append(place)
    if broken:
        raise ValueError(not_finite(broken, path))
    return written


def _write_frames(path: Path, predictions: Iterable[TrackPrediction], classes: Sequence[str]) -> None:
    with replacing(path) as part, open(part, 'wb') as file:
        file.write(b'{"frames": [')
        for i, prediction in enumerate(predictions):
            file.write((b',\n' if i else b'\n') + msgspec.json.encode(frame_of(prediction, classes)))
        file.write(b'\n], "groups": null, "config": null}\n')


def to_track_columns(
    predictions: Sequence[TrackPrediction], classes: Sequence[str] = TRACK_CLASSES
) -> TrackColumns:
    """Predictions as columns, as if read from their box_track.json."""
    counts = [len(p.scores) for p in predictions]
    n, m = sum(counts), len(predictions)
    ids: dict[int, int] = {}
    column = np.array([TRACK_CLASSES.index(name) for name in classes], np.int16)
    return TrackColumns(
        names=[p.name for p in predictions],
        videos=[p.video for p in predictions],
        has_labels=np.array(counts, int) > 0,
        attributes={key: np.zeros(m, np.int32) for key in FRAME_ATTRIBUTES},
        attribute_values={key: [''] for key in FRAME_ATTRIBUTES},
        frame=np.repeat(np.arange(m, dtype=np.int32), counts),
        category=column[np.array([label for p in predictions for label in p.labels], int)],
        xyxy=inclusive(np.array([box for p in predictions for box in p.bboxes], float)),
        score=np.array([score for p in predictions for score in p.scores], float),
        ignored=np.zeros(n, bool),
        crowd=np.zeros(n, bool),
        source='predictions',
        track=np.array([ids.setdefault(t, len(ids)) for p in predictions for t in p.ids], np.int32),
        ids=list(map(str, ids)),
        frame_index=np.array([p.frame_index for p in predictions], np.int32),
    )
