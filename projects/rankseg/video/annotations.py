"""Annotation files of YouTube-VIS, checked, with what can be derived filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from ...bdd100k.scalabel import is_true
from ...files.json_files import read_json
from ...files.rle import checked_rle


def read_annotations(path: str | Path, masks: bool = True) -> dict:
    """A YouTube-VIS annotation file (https://youtube-vos.org/dataset/vis).

    What is missing and follows from the rest is filled in: ids that are numbers on one side and text on the other
    become those of the videos and categories (of categories, numbers), annotations without an id are numbered,
    and ``bboxes``, ``areas`` and a video's ``height`` and ``width`` are those of the masks. A mask without a pixel
    becomes None, as where the object is not visible.

    Args:
        path: The file.
        masks: False leaves masks, boxes and areas as they are, unchecked.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a file, or an entry that cannot be used: an unknown video or category, an id twice, a
            list that is not as long as its video, a mask that does not fill its size or has another one than its
            video. The message names the file and the entry.
    """
    content = read_json(path)
    lists = {key: content.get(key) for key in ('videos', 'categories')} if isinstance(content, dict) else {}
    missing = [key for key in ('videos', 'categories') if not isinstance(lists.get(key), list)]
    if missing:
        raise ValueError(
            f'{path}: no {" and no ".join(missing)}; the annotation file of YouTube-VIS is expected'
        )
    try:
        _fill(content, masks)
    except _Wrong as error:
        raise ValueError(f'{path}: {error}') from error
    return content


class _Wrong(ValueError):
    """What is wrong with an entry; the file is added."""


class _Ids:
    """Finds the id that another part of the file means."""

    def __init__(self, kind: str, entries: Sequence[dict]) -> None:
        self.kind = kind
        self.entries = dict(zip(_unique(kind, entries), entries, strict=True))
        self._by_text = {str(known): known for known in self.entries}

    def find(self, value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():  # as tables of numbers write them
            value = int(value)
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            if value in self.entries:
                return value
            if str(value) in self._by_text:
                return self._by_text[str(value)]
        raise _Wrong(f'its {self.kind}_id is {value!r}, but the file has no such {self.kind}')


def _unique(kind: str, entries: Sequence[Any]) -> list:
    ids, first = [], {}
    for place, entry in enumerate(entries):
        found = entry.get('id') if isinstance(entry, dict) else None
        if not isinstance(found, (int, str)) or isinstance(found, bool):
            raise _Wrong(f'{kind} number {place + 1} has no id (a number or text): {str(entry)[:80]}')
        if first.setdefault(str(found), place) != place:
            raise _Wrong(
                f'{kind} id {found!r} is there twice, numbers {first[str(found)] + 1} and {place + 1}'
            )
        ids.append(found)
    return ids


def _whole_ids(kind: str, entries: Sequence[Any]) -> None:
    """Ids that are numbers in text become numbers."""
    for entry, found in zip(entries, _unique(kind, entries), strict=True):
        try:
            entry['id'] = int(found)
        except ValueError:
            raise _Wrong(f'{kind} id {found!r}: a whole number is expected') from None


def _fill(content: dict, masks: bool) -> None:
    _whole_ids('category', content['categories'])
    videos, categories = _Ids('video', content['videos']), _Ids('category', content['categories'])
    for found, category in categories.entries.items():
        if not isinstance(category.get('name'), str):
            raise _Wrong(f'category {found} has no name')
    for found, video in videos.entries.items():
        for key in [key for key in ('height', 'width', 'length') if video.get(key, 0) is None]:
            del video[key]  # null is as missing
        names = video.get('file_names')
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise _Wrong(f'video {found!r}: file_names must be a list of at least one frame')
        if video.get('length', len(names)) != len(names):
            raise _Wrong(
                f'video {found!r}: its length is {video["length"]}, but it has {len(names)} file_names'
            )
    annotations = content.get('annotations') or []
    if not isinstance(annotations, list) or not all(isinstance(ann, dict) for ann in annotations):
        raise _Wrong('annotations must be a list of objects')
    if not any('id' in ann for ann in annotations):
        for number, ann in enumerate(annotations, 1):
            ann['id'] = number
    _whole_ids('annotation', annotations)
    for ann in annotations:
        try:
            ann['video_id'] = videos.find(ann.get('video_id'))
            ann['category_id'] = categories.find(ann.get('category_id'))
            if masks:
                _fill_annotation(ann, videos.entries[ann['video_id']])
        except ValueError as error:
            raise _Wrong(f'annotation {ann["id"]} (video {ann.get("video_id")!r}): {error}') from error


def _fill_annotation(ann: dict, video: dict) -> None:
    length = len(video['file_names'])
    for key in ('segmentations', 'bboxes', 'areas'):
        if ann.get(key) is None and key != 'segmentations':
            ann[key] = [None] * length
        if not isinstance(ann.get(key), list) or len(ann[key]) != length:
            found = len(ann[key]) if isinstance(ann.get(key), list) else 'no'
            raise ValueError(
                f'{found} {key}, but its video has {length} frames (null where it is not visible)'
            )
    ann['iscrowd'] = int(is_true(ann.get('iscrowd', 0)))
    for frame, mask in enumerate(ann['segmentations']):
        try:
            _fill_frame(ann, frame, mask, video)
        except (ValueError, TypeError) as error:
            raise ValueError(f'frame {frame} ({video["file_names"][frame]}): {error}') from error


def _fill_frame(ann: dict, frame: int, mask: Any, video: dict) -> None:
    """Check one mask and box; fill in the box and the area."""
    code = _code(mask, video) if mask else None
    if code is None or not coco_mask.area(code):
        ann['segmentations'][frame] = None
        return
    if ann['areas'][frame] is None:
        ann['areas'][frame] = int(coco_mask.area(code))
    area = ann['areas'][frame]
    if not isinstance(area, (int, float)) or area < 0:
        raise ValueError(f'its area is {area!r}; expected a number of pixels')
    if not ann['bboxes'][frame]:
        ann['bboxes'][frame] = coco_mask.toBbox(code).tolist()
    box = ann['bboxes'][frame]
    if len(box) != 4 or not all(isinstance(side, (int, float)) for side in box):
        raise ValueError(f'its bbox is {box}; expected [x, y, width, height]')


def _code(mask: Any, video: dict) -> dict:
    """The compressed code of a frame's mask: a run-length code or polygons."""
    if isinstance(mask, dict):
        if not {'size', 'counts'} <= set(mask):
            raise ValueError(f'its segmentation has {", ".join(mask)}; expected size and counts')
        code = checked_rle(mask['counts'], mask['size'])
        size = [video.setdefault(key, side) for key, side in zip(('height', 'width'), code['size'])]
        if code['size'] != size:
            raise ValueError(f'its mask has {code["size"]} pixels (height, width), its video {size}')
        return code
    if 'height' not in video or 'width' not in video:
        raise ValueError('its segmentation is of polygons, which need the height and width of the video')
    if not isinstance(mask, list) or not all(_is_polygon(polygon) for polygon in mask):
        raise ValueError(
            'its segmentation is neither a run-length code nor polygons of at least three points'
        )
    return coco_mask.merge(coco_mask.frPyObjects(mask, video['height'], video['width']))


def _is_polygon(polygon: Any) -> bool:
    whole = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
    return whole and all(isinstance(value, (int, float)) for value in polygon)


def of_videos(content: dict, videos: Iterable) -> dict:
    """The part of a file's content that is of some videos, by their ids."""
    videos = set(videos)
    return {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in videos],
        'annotations': [ann for ann in content.get('annotations') or [] if ann['video_id'] in videos],
    }
