"""Bring predicted frames to the frames of the ground truth: videos by name, frames by frameIndex.

The official evaluator pairs videos and frames by their place in the sorted lists and ends at the first count that
differs. Here what is missing counts as empty, what is extra is left out, and both are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ..scalabel import LabelFileError
from ..track_columns import NONE, TRACK_CLASSES, TrackColumns
from .clear import Boxes
from .result import told


@dataclass
class VideoData:
    """Ground truth and predictions of one video; frames are numbered in the order of the ground truth."""

    name: str
    num_frames: int
    gt: Boxes  #: boxes that count
    dt: Boxes  #: predictions that count
    ignored: tuple[np.ndarray, np.ndarray]  #: (k, 4) crowd and ignored boxes, (k,) their frames


@dataclass
class Pairing:
    """Which predicted frame belongs to each frame of the ground truth."""

    gt: TrackColumns
    dt: TrackColumns
    videos: list[str]
    frames: list[np.ndarray]  #: of each video, (m,) rows of the ground truth by frameIndex
    found: list[np.ndarray]  #: of each video, (m,) rows of the predictions, -1 where there is none
    missing_videos: list[str] = field(default_factory=list)
    missing_frames: list[str] = field(default_factory=list)  #: of the videos that are there
    extra_videos: list[str] = field(default_factory=list)
    extra_frames: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)  #: frames of equal frameIndex and another name
    unnamed: list[str] = field(default_factory=list)  #: predicted frames without videoName or frameIndex

    def tell(self) -> None:
        """Warn of all that does not fit."""
        told(self.missing_videos, 'videos have no predicted frame and count as empty')
        told(self.missing_frames, f'frames have no predicted frame and count as empty{_OFFICIAL}')
        told(self.extra_videos, f'predicted videos are not in the ground truth and are left out{_OFFICIAL}')
        told(
            self.extra_frames,
            f'predicted frames are of no frame of the ground truth and are left out{_OFFICIAL}',
        )
        told(
            self.unnamed,
            f'predicted frames have no videoName or no frameIndex and go by their name{_OFFICIAL}',
        )
        told(
            self.renamed, 'predicted frames have the frameIndex of a frame of another name; frameIndex counts'
        )

    def data(self, keep: set[str] | None = None) -> Iterator[VideoData]:
        """The boxes of each video, one video at a time; ``keep`` names those wanted."""
        gt_first = np.searchsorted(self.gt.frame, np.arange(len(self.gt.names) + 1))
        dt_first = np.searchsorted(self.dt.frame, np.arange(len(self.dt.names) + 1))
        for name, frames, found in zip(self.videos, self.frames, self.found):
            if keep is not None and name not in keep:
                continue
            gt_rows, gt_frame = _boxes_of(gt_first, frames)
            dt_rows, dt_frame = _boxes_of(dt_first, found)
            hidden = (self.gt.crowd | self.gt.ignored)[gt_rows]
            counted = ~(self.dt.crowd | self.dt.ignored)[dt_rows]
            yield VideoData(
                name,
                len(frames),
                _boxes(self.gt, gt_rows[~hidden], gt_frame[~hidden]),
                _boxes(self.dt, dt_rows[counted], dt_frame[counted]),
                (_xywh(self.gt.xyxy[gt_rows[hidden]]), gt_frame[hidden]),
            )


_OFFICIAL = ' (the official evaluator would end without scores)'


def pair_frames(gt: TrackColumns, dt: TrackColumns) -> Pairing:
    """Find the predicted frame of every frame of the ground truth.

    Raises:
        LabelFileError: A frame of the ground truth has no video, two frames are one, a label has no id or a class
            that is not tracked, or a track has two boxes of a class in a frame; names the place.
    """
    for columns in (gt, dt):
        columns.check_classes()
        _check_ids(columns)
    by_video = gt.by_video()
    if None in by_video:
        row = int(by_video[None][0])
        raise LabelFileError(
            f'{gt.place(row)}: frame {gt.names[row]!r} of the ground truth has no videoName: is it the file of '
            'another task? Tracking needs the labels of box_track_20.'
        )
    found_videos, unnamed = _videos_of(dt, gt)
    pairing = Pairing(gt, dt, list(by_video), [], [], unnamed=unnamed)
    for video, rows in by_video.items():
        theirs = found_videos.pop(video, np.zeros(0, int))
        rows = rows[np.argsort(gt.frame_index[rows], kind='stable')]
        pairing.frames.append(rows)
        pairing.found.append(_pair_video(pairing, video, rows, theirs))
    for rows in found_videos.values():
        names = [_named(dt, row) for row in rows]
        if dt.videos[rows[0]] is None:
            pairing.extra_frames += names
        else:
            pairing.extra_videos.append(dt.videos[rows[0]])
    _check_tracks(pairing)
    return pairing


def _videos_of(dt: TrackColumns, gt: TrackColumns) -> tuple[dict[str | None, np.ndarray], list[str]]:
    """Rows of each video's predicted frames; those that name no video are found by their name."""
    found = dt.by_video()
    rows = found.pop(None, None)
    index = {row for rows_ in found.values() for row in rows_[dt.frame_index[rows_] == NONE].tolist()}
    unnamed = [dt.names[row] for row in sorted(index)]
    if rows is None:
        return found, unnamed
    video_of: dict[str, str | None] = {}
    for name, video in zip(map(_base, gt.names), gt.videos):
        video_of[name] = video if video_of.get(name, video) == video else None  # two videos have it
    groups: dict[str | None, list[int]] = {key: value.tolist() for key, value in found.items()}
    for row in rows.tolist():
        groups.setdefault(video_of.get(_base(dt.names[row])), []).append(row)
    return {key: np.array(sorted(value)) for key, value in groups.items()}, unnamed + [
        dt.names[row] for row in rows
    ]


def _pair_video(pairing: Pairing, video: str, rows: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    gt, dt = pairing.gt, pairing.dt
    if not len(theirs):
        pairing.missing_videos.append(video)
        _keys(gt, rows, by_index=(gt.frame_index[rows] != NONE).all())
        return np.full(len(rows), -1)
    by_index = bool((gt.frame_index[rows] != NONE).all() and (dt.frame_index[theirs] != NONE).all())
    ours = _keys(gt, rows, by_index)
    others = _keys(dt, theirs, by_index)
    found = np.array([others.pop(key, -1) for key in ours], int)
    for row, other in zip(rows.tolist(), found.tolist()):
        if other < 0:
            pairing.missing_frames.append(_named(gt, row))
        elif by_index and _base(gt.names[row]) != _base(dt.names[other]):
            pairing.renamed.append(_named(dt, other))
    pairing.extra_frames += [_named(dt, row) for row in others.values()]
    return found


def _keys(columns: TrackColumns, rows: np.ndarray, by_index: bool) -> dict[int | str, int]:
    """What the frames are paired by, and their rows."""
    keys: dict[int | str, int] = {}
    for row in rows.tolist():
        key = int(columns.frame_index[row]) if by_index else _base(columns.names[row])
        if key in keys:
            what = f'frameIndex {key}' if by_index else f'the name {key!r}'
            places = ' and '.join(dict.fromkeys((columns.place(keys[key]), columns.place(row))))
            raise LabelFileError(
                f'{places}: video {columns.videos[row]!r} has two frames of {what} '
                f'({columns.names[keys[key]]!r} and {columns.names[row]!r}): leave one of them out'
            )
        keys[key] = row
    return keys


def _check_ids(columns: TrackColumns) -> None:
    counted = ~(columns.crowd | columns.ignored) & (columns.track == NONE)
    if counted.any():
        row = columns.frame[int(counted.argmax())]
        raise LabelFileError(
            f'{columns.place(row)}: frame {columns.names[row]!r}: a label has no "id" ({int(counted.sum())} such '
            'labels in all); each needs the id of its track'
        )


def _check_tracks(pairing: Pairing) -> None:
    """Raise where a track of the ground truth has two boxes of a class in one frame."""
    gt = pairing.gt
    counted = np.flatnonzero(~(gt.crowd | gt.ignored))
    frame, category, track = gt.frame[counted], gt.category[counted], gt.track[counted]
    order = np.lexsort((track, category, frame))
    same = np.ones(max(len(order) - 1, 0), bool)
    for values in (frame[order], category[order], track[order]):
        same &= values[1:] == values[:-1]
    if same.any():
        i = counted[order[int(same.argmax())]]
        row = gt.frame[i]
        raise LabelFileError(
            f'{gt.place(row)}: frame {gt.names[row]!r} of the ground truth has id {gt.ids[gt.track[i]]!r} twice as '
            f'{TRACK_CLASSES[gt.category[i]]} ({int(same.sum())} such boxes in all): a track is in a frame once'
        )


def _boxes_of(first: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of frames (-1: none): their rows, and the number of the frame among ``rows``."""
    start = np.where(rows >= 0, first[rows], 0)
    count = np.where(rows >= 0, first[rows + 1] - first[rows], 0)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(start, count) + within, np.repeat(np.arange(len(rows)), count)


def _boxes(columns: TrackColumns, rows: np.ndarray, frame: np.ndarray) -> Boxes:
    _, track = np.unique(columns.track[rows], return_inverse=True)
    return Boxes(frame, columns.category[rows].astype(np.int64), track, _xywh(columns.xyxy[rows]))


def _xywh(xyxy: np.ndarray) -> np.ndarray:
    """x, y, width, height in the official tool's order of operations: width = x2 - x1 + 1."""
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2] + 1], 1)


def _base(name: str) -> str:
    return PurePosixPath(name).name


def _named(columns: TrackColumns, row: int) -> str:
    return f'{columns.videos[row]}/{columns.names[row]}'
