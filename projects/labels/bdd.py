"""BDD100K's detection labels: Scalabel with its ten classes, and the categories that are ignored in them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..bdd100k.categories import BDD100K
from . import scalabel
from .form import LabelSet, Losses, classes_in

#: Further names of COCO, Cityscapes and others for BDD100K's classes; the remaining ones are reported.
ALIASES = {
    'cyclist': 'rider',
    'motorbike': 'motorcycle',
    'motorcyclist': 'rider',
    'people': 'pedestrian',
    'stop sign': 'traffic sign',
    'trafficlight': 'traffic light',
    'trafficsign': 'traffic sign',
}

#: The attribute that keeps which category a region is ignored for.
CATEGORY = 'category'


def bdd_name(category: str) -> str | None:
    """The category of BDD100K that a name stands for, in any spelling; None where it is none of them."""
    plain = category.strip().lower().replace('_', ' ').replace('-', ' ')
    plain = ALIASES.get(plain, plain)
    plain = BDD100K.spellings.get(plain, plain)
    return plain if plain in BDD100K.classes or plain in BDD100K.ignored else None


def read(path: Path) -> LabelSet:
    """As `scalabel.read`, by BDD100K's rules: 2018's names become today's, and boxes of other persons, other vehicles
    and trailers become ignored regions of the class in which they are ignored (attribute ``category`` keeps which)."""
    labels = scalabel.read(path)
    for image, box in labels.boxes():
        name = BDD100K.spellings.get(box.category, box.category)
        if name != box.category:
            labels.losses.add(f'boxes of {box.category!r} are named {name!r}', image.name)
        if name in BDD100K.ignored:
            box.attributes, box.ignored = {**box.attributes, CATEGORY: name}, True
            name = BDD100K.ignored[name]
        box.category = name
    labels.classes = classes_in(labels.images, BDD100K.classes)
    return labels


def write(labels: LabelSet, path: Path, losses: Losses) -> None:
    """Write the boxes of BDD100K's categories; others are counted by their names."""
    images = []
    for image in labels.images:
        boxes = []
        for box in image.boxes:
            name = bdd_name(str(box.attributes.get(CATEGORY, box.category)))
            if name is None:
                losses.add(
                    f'boxes of {box.category!r}, which BDD100K has not, are left out', image.name, box=True
                )
            else:
                if name != box.category and CATEGORY not in box.attributes:
                    losses.add(f'boxes of {box.category!r} are named {name!r}', image.name)
                attributes = {key: value for key, value in box.attributes.items() if key != CATEGORY}
                ignored = box.ignored and name not in BDD100K.ignored
                boxes.append(
                    msgspec.structs.replace(box, category=name, ignored=ignored, attributes=attributes)
                )
        images.append(msgspec.structs.replace(image, boxes=boxes))
    scalabel.write(labels.of(images), path, losses)
