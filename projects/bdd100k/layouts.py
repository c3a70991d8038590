"""BDD100K's two older layouts of labels as Scalabel frames.

The flat list has an entry for each box, ``{"name", "timestamp", "category", "bbox": [x1, y1, x2, y2],
"score"}``, as BDD100K's detection results were once submitted. The labels of 2018, a file an image, are
``{"name", "frames": [{"timestamp", "objects": [...]}], "attributes"}`` with a name that lacks the suffix.
"""

from __future__ import annotations

from typing import Any

from ..files.images import is_image

#: What entries of the older layouts hold and Scalabel's frames do not.
MARKERS = ('category', 'bbox', 'box2d', 'frames')


def is_old(entry: Any) -> bool:
    """Whether a record with the fields ``MARKERS`` is an entry of an older layout."""
    return (
        entry.category is not None
        or entry.bbox is not None
        or entry.box2d is not None
        or entry.frames is not None
    )


def as_frames(entries: list[dict]) -> list[dict]:
    """Entries of any layout as frames, in the order of the images' first entries.

    Entries of a flat list that name one image (and video) become the labels of one frame, which keeps the
    first one's ``category`` as the mark of where it comes from. Boxes keep their corners: x2 and y2 are
    inclusive in all layouts.

    Raises:
        ValueError: An entry that is none of one image; names it.
    """
    frames: list[dict] = []
    flat: dict[tuple, dict] = {}
    for entry in entries:
        if entry.get('frames') is not None:
            frames.append(_of_2018(entry))
        elif all(entry.get(key) is None for key in MARKERS):
            frames.append(entry)
        else:
            if entry.get('labels') is not None:
                raise ValueError(f'frame {entry["name"]!r} has "labels" and is an entry of a flat list too')
            key = entry.get('videoName'), entry['name']
            if key not in flat:
                flat[key] = {**entry, 'category': entry.get('category') or '', 'labels': []}
                frames.append(flat[key])
            box = entry.get('box2d') if entry.get('box2d') is not None else entry.get('bbox')
            flat[key]['labels'].append({**entry, 'box2d': _corners(box), 'bbox': None})
    return frames


def _of_2018(entry: dict) -> dict:
    name, inner = entry['name'], entry['frames']
    if not isinstance(inner, list) or len(inner) > 1 or not all(isinstance(f, dict) for f in inner):
        raise ValueError(
            f'frame {name!r}: "frames" of one image must be a list of one; labels of videos are not read'
        )
    objects = inner[0].get('objects') if inner else None
    return dict(
        name=name if is_image(name) else f'{name}.jpg', attributes=entry.get('attributes'), labels=objects
    )


def _corners(box: Any) -> Any:
    """A box as it stands in Scalabel; what is no list of four is left for the reader to refuse."""
    return dict(zip(('x1', 'y1', 'x2', 'y2'), box)) if isinstance(box, list) and len(box) == 4 else box
