"""Results of LVIS (JSON) and YouTube-VIS (``results.zip`` with ``results.json`` at its top)."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from ..files import write_json
from ..files.json_files import read_json
from ..files.rle import checked_rle
from .files import Checked, Request, json_of, some

#: Detections of an image that LVIS counts, the best by score.
MAX_DETECTIONS = 300


class _Image(msgspec.Struct):
    id: int
    width: int
    height: int


class _Category(msgspec.Struct):
    id: int


class _Detection(msgspec.Struct, gc=False, omit_defaults=True):
    image_id: int
    category_id: int
    score: float
    bbox: list[float] | None = None
    segmentation: Any = None


class _Images(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]


class _Track(msgspec.Struct, gc=False):
    video_id: int
    category_id: int
    score: float
    segmentations: list[Any]


class _Video(msgspec.Struct):
    id: int
    length: int
    width: int
    height: int


class _Videos(msgspec.Struct):
    videos: list[_Video]
    categories: list[_Category]


_WHAT = "a list of detections (image_id, category_id, score, bbox or segmentation), COCO's result format"
_TRACKS = 'a list of tracks (video_id, category_id, score, segmentations)'


def write_lvis(request: Request) -> Path:
    """Write an LVIS result file: of every image the best 300 detections, which the official evaluation takes too.

    Raises:
        FileNotFoundError, ValueError: The source is not a result file.
    """
    assert request.out
    if request.out.suffix != '.json':
        raise ValueError(f'--out {request.out}: LVIS takes a .json file')
    by_image = defaultdict(list)
    for detection in read_json(_file(request, 'results.json'), list[_Detection], _WHAT):
        by_image[detection.image_id].append(detection)
    kept = []
    for found in by_image.values():
        if len(found) > MAX_DETECTIONS:
            found = sorted(found, key=lambda d: -d.score)[:MAX_DETECTIONS]
        kept += map(msgspec.to_builtins, found)
    write_json(request.out, kept)
    return request.out


def _file(request: Request, name: str) -> Path:
    """The source, or the file of that name in it."""
    if len(request.sources) != 1:
        raise ValueError(f'{some(request.sources)}: one file of results is expected')
    (path,) = request.sources
    return path / name if path.is_dir() else path


def check_lvis(path: Path, request: Request) -> Checked:
    """Check a result file: form, numbers, and with annotations the ids and the masks' sizes."""
    done, detections = Checked(), json_of(path, list[_Detection], _WHAT, 'results.json')
    known = read_json(request.annotations, _Images, 'an annotation file') if request.annotations else None
    sizes = {i.id: (i.height, i.width) for i in known.images} if known else None
    categories = {c.id for c in known.categories} if known else None
    if known is None:
        done.notes.append('ids and sizes were not compared with the data set: --annotations FILE does')
    done.counted['detections'] = len(detections)
    if not detections:
        done.problems.append('no detections: the official evaluation fails on an empty list')
    counts: dict[int, int] = defaultdict(int)
    with_masks = 0
    for number, found in enumerate(detections):
        counts[found.image_id] += 1
        with_masks += found.segmentation is not None
        if text := _wrong_detection(found, sizes, categories):
            done.problems.append(f'detection {number} (image {found.image_id}): {text}')
    if 0 < with_masks < len(detections):
        done.problems.append(f'{with_masks} of {len(detections)} detections have a segmentation: all or none')
    if many := [image for image, count in counts.items() if count > MAX_DETECTIONS]:
        done.problems.append(
            f'{len(many)} images have more than {MAX_DETECTIONS} detections, of which the best count: '
            f'image {some(many)}'
        )
    if sizes and (bare := len(sizes) - len(counts.keys() & sizes.keys())):
        done.notes.append(f'{bare} of {len(sizes)} images have no detection')
    return done


def _wrong_detection(found: _Detection, sizes: dict | None, categories: set[int] | None) -> str:
    if not math.isfinite(found.score):
        return f'a score of {found.score}'
    if sizes is not None and found.image_id not in sizes:
        return 'the annotations have no image of this id'
    if categories is not None and found.category_id not in categories:
        return f'the annotations have no category {found.category_id}'
    if found.bbox is None and found.segmentation is None:
        return 'neither bbox nor segmentation'
    if found.bbox is not None and (
        len(found.bbox) != 4 or not all(map(math.isfinite, found.bbox)) or min(found.bbox[2:]) < 0
    ):
        return f'bbox is {found.bbox}, expected x, y, width, height'
    if found.segmentation is not None:
        return _wrong_mask(found.segmentation, sizes and sizes[found.image_id])
    return ''


def _wrong_mask(mask: Any, size: tuple[int, int] | None) -> str:
    if not isinstance(mask, dict) or not {'counts', 'size'} <= mask.keys():
        return 'a segmentation without counts and size: a run-length code is expected'
    if not isinstance(mask['counts'], str):
        return 'counts are not text: the official code takes compressed run-length codes'
    if not isinstance(mask['size'], list):
        return f'size is {mask["size"]!r}; expected [height, width]'
    try:
        checked_rle(mask['counts'], mask['size'])
    except ValueError as error:
        return str(error)
    if size is not None and tuple(mask['size']) != tuple(size):
        return f'a mask of {mask["size"]}, the annotations say {list(size)} (height, width)'
    return ''


def write_ytvis(request: Request) -> Path:
    """Write ``results.json`` and ``results.zip`` into the output folder; the server takes the archive.

    Returns:
        The archive.

    Raises:
        FileNotFoundError, ValueError: The source is not a result file.
    """
    from ..rankseg.video.results import write_results

    assert request.out
    tracks = read_json(_file(request, 'results.json'), list[_Track], _TRACKS)
    return write_results([msgspec.to_builtins(track) for track in tracks], request.out).with_suffix('.zip')


def check_ytvis(path: Path, request: Request) -> Checked:
    """Check an archive (or its ``results.json``): form, numbers, and with annotations ids, lengths and sizes."""
    path = path / 'results.zip' if path.is_dir() else path
    done, tracks = Checked(), json_of(path, list[_Track], _TRACKS, 'results.json')
    if path.suffix != '.zip':
        done.problems.append(f'{path}: the server takes a zip archive with results.json at its top')
    known = read_json(request.annotations, _Videos, 'an annotation file') if request.annotations else None
    videos = {v.id: v for v in known.videos} if known else None
    categories = {c.id for c in known.categories} if known else None
    if known is None:
        done.notes.append(
            'ids, lengths and sizes were not compared with the data set: --annotations FILE does'
        )
    done.counted['tracks'] = len(tracks)
    if not tracks:
        done.problems.append('no tracks')
    for number, track in enumerate(tracks):
        if text := _wrong_track(track, videos, categories):
            done.problems.append(f'track {number} (video {track.video_id}): {text}')
    if videos and (bare := len(videos.keys() - {t.video_id for t in tracks})):
        done.notes.append(f'{bare} of {len(videos)} videos have no track')
    return done


def _wrong_track(track: _Track, videos: dict[int, _Video] | None, categories: set[int] | None) -> str:
    if not math.isfinite(track.score):
        return f'a score of {track.score}'
    video = None
    if videos is not None:
        if (video := videos.get(track.video_id)) is None:
            return 'the annotations have no video of this id'
        if len(track.segmentations) != video.length:
            return f'{len(track.segmentations)} masks, the video has {video.length} frames'
    if categories is not None and track.category_id not in categories:
        return f'the annotations have no category {track.category_id}'
    for frame, mask in enumerate(track.segmentations):
        if mask is None:
            continue
        if text := _wrong_mask(mask, video and (video.height, video.width)):
            return f'frame {frame}: {text}'
    return ''
