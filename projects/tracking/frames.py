"""Frames of box tracking as they stand in Scalabel files, with every key, for conversions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..bdd100k.scalabel import IGNORE_MAPPING, NAME_MAPPING, LabelFileError, json_files, naming
from ..bdd100k.track_columns import TRACK_CLASSES
from ..files import OutputNames, write_text

#: Keys of the older release of the labels, and today's.
_FRAME_KEYS = {'video_name': 'videoName', 'index': 'frameIndex', 'frame_index': 'frameIndex'}
_MARKS = {'Crowd': 'crowd', 'Occluded': 'occluded', 'Truncated': 'truncated', 'Ignored': 'ignored'}


@dataclass
class Frames:
    """Frames in Scalabel's form of today."""

    frames: list[dict[str, Any]]

    def by_video(self) -> dict[str, list[dict[str, Any]]]:
        """The frames of each video by ``frameIndex``, videos sorted by name."""
        videos: dict[str, list[dict[str, Any]]] = {}
        for frame in self.frames:
            videos.setdefault(frame['videoName'], []).append(frame)
        return {
            video: sorted(videos[video], key=lambda f: f.get('frameIndex') or 0) for video in sorted(videos)
        }

    def write(self, path: str | Path) -> list[Path]:
        """Write one JSON file (a path that ends in .json), or a folder with a file a video."""
        path = Path(path)
        if path.suffix == '.json':
            write_text(path, json.dumps(dict(frames=self.frames)) + '\n')
            return [path]
        names = OutputNames(path)
        written = [names.path(video, '.json') for video in self.by_video()]
        for place, found in zip(written, self.by_video().values()):
            write_text(place, json.dumps(found) + '\n')
        return written


def read_frames(path: str | Path, classes: Sequence[str] = TRACK_CLASSES) -> Frames:
    """The frames of a label file or folder of box tracking, in the form of today.

    Categories get their names of today (person is pedestrian); other persons, other vehicles and trailers become
    ignored boxes of pedestrians, cars and trucks, as the official tool has them.

    Args:
        path: A file or a folder with a file a video.
        classes: The categories that may be there.

    Raises:
        LabelFileError: Not such a file, a frame without a video, a label without an id or of another category.
    """
    frames: list[dict[str, Any]] = []
    for file in json_files(path):
        with naming(file):
            content = msgspec.json.decode(file.read_bytes())
            found = content.get('frames') if isinstance(content, dict) else content
            if not isinstance(found, list):
                raise LabelFileError(f'{file}: neither a list of frames nor an object with "frames"')
            frames += [_present(frame, file, classes) for frame in found]
    return Frames(frames)


def _present(frame: dict[str, Any], file: Path, classes: Sequence[str]) -> dict[str, Any]:
    for old, new in _FRAME_KEYS.items():
        if old in frame:
            value = frame.pop(old)
            frame.setdefault(new, value)
    name = frame.get('name')
    if not name or not frame.get('videoName'):
        raise LabelFileError(f'{file}: frame {name!r} has no {"videoName" if name else "name"}')
    for label in frame.get('labels') or ():
        if label.get('box2d') is None:
            continue
        if label.get('id') is None:
            raise LabelFileError(f'{file}: frame {name!r}: a label has no "id", so it is no track')
        marks = {_MARKS.get(key, key): value for key, value in (label.get('attributes') or {}).items()}
        category = label.get('category')
        category = category if category in classes else NAME_MAPPING.get(category, category)
        if category not in classes and category in IGNORE_MAPPING:
            category, marks['ignored'] = IGNORE_MAPPING[category], True
        if category not in classes:
            raise LabelFileError(
                f'{file}: frame {name!r}: category {category!r} is none of {", ".join(classes)}: name all of them '
                'with --classes'
            )
        label['category'], label['id'] = category, str(label['id'])
        if marks:
            label['attributes'] = marks
    return frame
