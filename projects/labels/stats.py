"""Numbers of sets of labels: images, boxes of each class and size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .form import Box, LabelSet

#: COCO's areas: small below 32 x 32 pixels, large from 96 x 96 on.
AREAS = (('small', 32**2), ('medium', 96**2), ('large', float('inf')))


def area_name(box: Box) -> str:
    """COCO's name for a box's size."""
    area = box.width * box.height
    return next(name for name, end in AREAS if area < end)


def statistics(labels: LabelSet) -> dict[str, Any]:
    """Of one set: ``images``, ``empty`` (images without a box), ``boxes``, ``crowds``, ``ignored``, ``classes`` (boxes
    and images of each), ``areas`` (COCO's) and ``sizes`` (of images, "1280x720": how many)."""
    boxes, areas, images = Counter(), Counter(), Counter()
    for _, box in labels.boxes():
        boxes[box.category] += 1
        areas[area_name(box)] += 1
    for image in labels.images:
        images.update({box.category for box in image.boxes})
    every = [box for _, box in labels.boxes()]
    sizes = Counter(f'{i.width}x{i.height}' if i.width and i.height else 'not known' for i in labels.images)
    return dict(
        images=len(labels),
        empty=sum(not image.boxes for image in labels.images),
        boxes=len(every),
        crowds=sum(box.crowd for box in every),
        ignored=sum(box.ignored for box in every),
        classes={name: dict(boxes=boxes[name], images=images[name]) for name in labels.classes},
        areas={name: areas[name] for name, _ in AREAS},
        sizes=dict(sizes.most_common()),
    )


def table(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    """Statistics of several sets as text, a column a set."""
    splits = list(numbers)
    rows: list[list[str]] = [['', *(split or 'all' for split in splits)]]
    for key in ('images', 'empty', 'boxes', 'crowds', 'ignored'):
        name = 'images without a box' if key == 'empty' else key
        rows.append([name, *(str(numbers[split][key]) for split in splits)])
    for name, _ in AREAS:
        rows.append([f'{name} boxes', *(str(numbers[split]['areas'][name]) for split in splits)])
    classes = dict.fromkeys(name for split in splits for name in numbers[split]['classes'])
    none = dict(boxes=0, images=0)
    for name in classes:
        found = [numbers[split]['classes'].get(name, none) for split in splits]
        rows.append([f'  {name}', *(f'{one["boxes"]} in {one["images"]} images' for one in found)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(splits) + 1)]
    lines = ['  '.join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    for split in splits:
        sizes = numbers[split]['sizes']
        shown = ', '.join(f'{count} of {size}' for size, count in list(sizes.items())[:4])
        lines.append(
            f'image sizes{f" of {split}" if split else ""}: {shown}{", ..." if len(sizes) > 4 else ""}'
        )
    return '\n'.join(lines) + '\n'
