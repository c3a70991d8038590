"""Tracks as COCO-VID (mmdet's BaseVideoDataset), as ``bdd100k.label.to_coco -m box_track`` writes them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..files.json_files import read_json
from .frames import Frames


def to_coco_vid(frames: Frames, classes: Sequence[str], size: tuple[int, int]) -> dict[str, Any]:
    """The official conversion.

    Args:
        frames: Frames of box tracking, whose categories are classes (``frames.read``).
        classes: Category ids are 1 and on in this order.
        size: (width, height) of the images that have no ``size``.

    Returns:
        ``videos``, ``images`` (``frame_id`` is ``frameIndex``, ``file_name`` VIDEO/NAME), ``annotations`` (``bbox`` x,
        y, width, height; ``instance_id`` counted from 1 in each video; ``iscrowd`` for crowd and ignored boxes) and
        ``categories``.
    """
    videos, images, annotations = [], [], []
    category = {name: row + 1 for row, name in enumerate(classes)}
    for video, found in frames.by_video().items():
        attributes = found[0].get('attributes')
        videos.append(dict(id=len(videos) + 1, name=video, attributes=attributes))
        instances: dict[str, int] = {}
        for place, frame in enumerate(found):
            own = frame.get('size')
            width, height = (own['width'], own['height']) if own else size
            index = frame.get('frameIndex')
            images.append(
                dict(
                    video_id=len(videos),
                    frame_id=place if index is None else index,
                    file_name=f'{video}/{frame["name"]}',
                    height=height,
                    width=width,
                    id=len(images) + 1,
                    attributes=attributes,
                )
            )
            for label in frame.get('labels') or ():
                box = label.get('box2d')
                if box is None:
                    continue
                marks = label.get('attributes') or {}
                x1, y1 = box['x1'], box['y1']
                bbox = [x1, y1, box['x2'] - x1 + 1, box['y2'] - y1 + 1]
                annotation = dict(
                    id=len(annotations) + 1,
                    image_id=len(images),
                    category_id=category[label['category']],
                    instance_id=instances.setdefault(label['id'], len(instances) + 1),
                    scalabel_id=label['id'],
                    iscrowd=int(bool(marks.get('crowd') or marks.get('ignored'))),
                    ignore=0,
                )
                if label.get('score') is not None:
                    annotation['score'] = label['score']
                annotations.append(annotation | dict(bbox=bbox, area=float(bbox[2] * bbox[3])))
    categories = [dict(supercategory=name, id=row + 1, name=name) for row, name in enumerate(classes)]
    return dict(categories=categories, videos=videos, images=images, annotations=annotations)


def from_coco_vid(path: str | Path) -> Frames:
    """Frames of a COCO-VID file.

    ``scalabel_id`` is the id where it is there, else ``instance_id`` (or ``track_id``); ``iscrowd`` is crowd.

    Raises:
        ValueError: Not COCO-VID; names the file and what is missing.
    """
    content = read_json(path, dict[str, Any], 'a COCO-VID file')
    lacking = [key for key in ('videos', 'images', 'annotations', 'categories') if key not in content]
    if lacking:
        raise ValueError(f'{path}: no COCO-VID file: it lacks {", ".join(lacking)}')
    videos = {video['id']: video for video in content['videos']}
    names = {category['id']: category['name'] for category in content['categories']}
    frames: dict[int, dict[str, Any]] = {}
    for image in sorted(content['images'], key=lambda i: (i['video_id'], i.get('frame_id', i['id']))):
        video = videos.get(image['video_id'])
        if video is None:
            raise ValueError(
                f'{path}: image {image["file_name"]!r} is of video {image["video_id"]}, which is not there'
            )
        frames[image['id']] = dict(
            name=PurePosixPath(image['file_name']).name,
            videoName=video.get('name') or video.get('file_name') or str(video['id']),
            frameIndex=image.get('frame_id', 0),
            size=dict(width=image['width'], height=image['height']),
            attributes=image.get('attributes'),
            labels=[],
        )
    for annotation in content['annotations']:
        frame = frames.get(annotation['image_id'])
        if frame is None or annotation['category_id'] not in names:
            raise ValueError(
                f'{path}: annotation {annotation["id"]} is of image {annotation["image_id"]} and category '
                f'{annotation["category_id"]}, one of which is not there'
            )
        track = next(
            (annotation[k] for k in ('scalabel_id', 'instance_id', 'track_id') if k in annotation), None
        )
        if track is None:
            raise ValueError(f'{path}: annotation {annotation["id"]} has no instance_id: tracks need one')
        x, y, width, height = annotation['bbox']
        label = dict(
            id=str(track),
            category=names[annotation['category_id']],
            box2d=dict(x1=x, y1=y, x2=x + width - 1, y2=y + height - 1),
        )
        if annotation.get('iscrowd') or annotation.get('ignore'):
            label['attributes'] = dict(crowd=True)
        if 'score' in annotation:
            label['score'] = annotation['score']
        frame['labels'].append(label)
    return Frames(list(frames.values()))
