"""Writes drives as a data set in the layout of BDD100K's box tracking."""

from __future__ import annotations

from pathlib import Path

from ..bdd100k.track_columns import TRACK_CLASSES
from ..files import write_json
from .drive import Drive


def split_of(number: int, count: int) -> str:
    """The split of one of ``count`` videos: a fifth of them, at least one of several, is ``val``."""
    return 'val' if number % 5 == min(max(count, 2), 5) - 1 else 'train'


def write_tracks(
    root: Path,
    count: int,
    seed: int,
    frames: int,
    size: tuple[int, int],
    stride: float,
    ego: float,
    write,
    progress,
) -> int:
    """Write ``images/track/SPLIT/VIDEO/VIDEO-0000001.jpg`` and ``labels/box_track_20/SPLIT/VIDEO.json``.

    Args:
        root: The data set's folder.
        count, frames: Number of videos and of frames of each.
        seed, size, stride, ego: As `Drive`.
        write: Writes an image.
        progress: Called after every video.

    Returns:
        How many boxes there are.
    """
    boxes = 0
    for number in range(count):
        name, split = f'drive-{number:04d}', split_of(number, count)
        drive = Drive(seed + number, size, frames, stride, ego)
        labeled = []
        for t in range(frames):
            rendered = drive.render(t)
            image = f'{name}-{t + 1:07d}.jpg'
            write(root / f'images/track/{split}/{name}/{image}', rendered.image)
            tracked = [box for box in rendered.boxes if box['category'] in TRACK_CLASSES]
            labeled.append(_frame(image, name, t, drive, tracked))
            boxes += len(tracked)
        write_json(root / f'labels/box_track_20/{split}/{name}.json', labeled)
        progress()
    return boxes


def _frame(image: str, video: str, index: int, drive: Drive, boxes: list[dict]) -> dict:
    labels = [
        dict(
            id=f'{box["id"]:08d}',
            category=box['category'],
            attributes=dict(
                occluded=box['occluded'], truncated=box['truncated'], crowd=drive.is_crowd(box['id'])
            ),
            box2d=box['box2d'],
        )
        for box in boxes
    ]
    attributes = dict(weather=drive.weather, scene=drive.place, timeofday=drive.timeofday)
    return dict(name=image, videoName=video, frameIndex=index, attributes=attributes, labels=labels)
