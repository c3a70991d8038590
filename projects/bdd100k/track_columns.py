"""Labels of box tracking (box_track_20) as columns: boxes with track ids, frames with their video and index.

Both forms of the labels are read: today's (``videoName``, ``frameIndex``, ``crowd``) and the older release's
(``video_name``, ``index``, ``Crowd``). A path is a file, a folder with a file a video, or a zip of either.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .categories import BDD100K, Categories
from .columns import Builder, Columns, _Attributes, _Frame, _Label, read_columns
from .index import BOXES, Kind
from .scalabel import DET_CLASSES, LabelFileError

#: The classes of box tracking in the official order, which begins as that of detection.
TRACK_CLASSES = DET_CLASSES[:8]
#: What a frame without ``frameIndex`` and a label without ``id`` have in the columns.
NONE = -1


class _TrackAttributes(_Attributes, gc=False):
    Crowd: Any = None
    Ignored: Any = None


class _TrackLabel(_Label, gc=False):
    attributes: _TrackAttributes | None = None
    id: str | int | None = None


class _TrackFrame(_Frame, gc=False):
    labels: list[_TrackLabel] | None = None
    frameIndex: int | None = None  # noqa: N815 (the format's name)
    video_name: str | None = None
    frame_index: int | None = None
    index: int | None = None


@dataclass
class TrackColumns(Columns):
    """`Columns` whose boxes have track ids and whose frames have a place in a video.

    Equal ids in different videos are different tracks.
    """

    track: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  #: (n,) int32 row in ``ids``, or -1
    ids: Sequence[str] = ()  #: ids as they stand in the file; of numbers the digits without leading zeros
    frame_index: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  #: (m,) ``frameIndex``, or -1

    def by_video(self) -> dict[str | None, np.ndarray]:
        """The rows of each video's frames, in the order of the file; videos sorted by name."""
        rows: dict[str | None, list[int]] = {}
        for row, video in enumerate(self.videos):
            rows.setdefault(video, []).append(row)
        return {video: np.array(rows[video]) for video in sorted(rows, key=lambda v: v or '')}

    def check_classes(self) -> None:
        """Raise LabelFileError at the first box of a class that is not tracked."""
        other = self.category >= len(TRACK_CLASSES)
        if other.any():
            i = int(other.argmax())
            row = self.frame[i]
            raise LabelFileError(
                f'{self.place(row)}: frame {self.names[row]!r}: a label is a {DET_CLASSES[self.category[i]]} '
                f'({int(other.sum())} such labels in all), which is no class of box tracking; these are '
                f'{", ".join(TRACK_CLASSES)}. The official evaluator ends there: leave such labels out of the file.'
            )


class _TrackBuilder(Builder):
    frame_type = _TrackFrame
    kind = TrackColumns

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.boxes['track'] = []
        self.table: dict[str, int] = {}
        self.frame_index: list[int] = []

    def add(self, frames: list[_TrackFrame], path: Path) -> None:
        if any(frame.category is not None for frame in frames):
            raise LabelFileError(
                f'{path}: a flat list with an entry for each box, which has no tracks: give the labels of '
                'box_track_20, or predictions as {"frames": [{"name", "videoName", "frameIndex", "labels"}]}'
            )
        for frame in frames:
            _to_present_form(frame)
        table, codes = self.table, []
        for frame in frames:
            for label in frame.labels or ():
                if label.box2d is None:
                    continue
                if label.id is None:
                    codes.append(NONE)
                    continue
                name = str(label.id)
                name = (name.lstrip('0') or '0') if name.isdecimal() else name
                codes.append(table.setdefault(name, len(table)))
        self.boxes['track'].append(np.array(codes, np.int32))
        super().add(frames, path)
        self.frame_index += [NONE if f.frameIndex is None else f.frameIndex for f in frames]

    def fields(self, source: Path) -> dict[str, Any]:
        found = super().fields(source)
        return found | dict(ids=list(self.table), frame_index=np.array(self.frame_index, np.int32))


def _to_present_form(frame: _TrackFrame) -> None:
    """Give a frame of the older release its present keys."""
    if frame.videoName is None:
        frame.videoName = frame.video_name
    if frame.frameIndex is None:
        frame.frameIndex = frame.index if frame.frame_index is None else frame.frame_index
    for label in frame.labels or ():
        marks = label.attributes
        if marks is not None:
            if marks.crowd is None:
                marks.crowd = marks.Crowd
            if marks.ignored is None:
                marks.ignored = marks.Ignored


def read_track_columns(
    path: str | Path,
    categories: Categories = BDD100K,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> TrackColumns:
    """Read labels or predictions of box tracking.

    Args:
        path: A file, a folder of files (``scalabel.json_files``), or a zip of a file or of such a folder.
        categories: What the categories of the file may be.
        progress: Called with bytes done and bytes in all.

    Raises:
        LabelFileError: As `read_columns`, or the zip cannot be read; the message names the file and the place.
    """
    path = Path(path)
    if path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix='mmroad-') as folder:
            names = _unpack(path, Path(folder))
            found = read_track_columns(folder, categories, progress=progress)
            return replace(found, source=str(path), files=[names[name] for name in found.files])
    return read_columns(path, categories, progress=progress, builder=_TrackBuilder)


def _unpack(path: Path, folder: Path) -> dict[str, str]:
    """Write the label files of a zip to a folder, flat and in their order; names there to names in the zip."""
    names = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith('.json')]
            members = [m for m in members if not PurePosixPath(m.filename).name.startswith('.')]
            members = [m for m in members if not m.filename.startswith('__MACOSX')]
            for i, member in enumerate(sorted(members, key=lambda m: m.filename)):
                name = f'{i:06d}.json'
                names[name] = member.filename
                with archive.open(member) as source, open(folder / name, 'wb') as target:
                    while block := source.read(1 << 20):
                        target.write(block)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise LabelFileError(f'{path}: the zip archive cannot be read: {error}') from error
    if not names:
        raise LabelFileError(f'{path}: the zip archive holds no .json file')
    return names


#: The cache of a label file of tracks (`indexed_columns`).
TRACKS = Kind(
    read=read_track_columns,
    columns=TrackColumns,
    arrays=(*BOXES.arrays, 'track', 'frame_index'),
    texts=(*BOXES.texts, 'ids'),
    mark='.tracks',
)
