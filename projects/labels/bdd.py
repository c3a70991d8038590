"""BDD100K's detection labels: Scalabel with its ten classes, and the categories that are ignored in them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..bdd100k.categories import BDD100K
from . import scalabel
from .form import LabelSet, Losses

#: Further names of COCO, Cityscapes and others for BDD100K's classes; what is no one's is told.
ALIASES = {
    'cyclist': 'rider',
    'motorbike': 'motorcycle',
    'motorcyclist': 'rider',
    'people': 'pedestrian',
    'stop sign': 'traffic sign',
    'trafficlight': 'traffic light',
    'trafficsign': 'traffic sign',
}


def bdd_name(category: str) -> str | None:
    """The category of BDD100K that a name stands for, in any spelling; None where it is none of them."""
    plain = category.strip().lower().replace('_', ' ').replace('-', ' ')
    plain = ALIASES.get(plain, plain)
    plain = BDD100K.spellings.get(plain, plain)
    return plain if plain in BDD100K.classes or plain in BDD100K.ignored else None


def read(path: Path) -> LabelSet:
    """As `scalabel.read`; the classes are BDD100K's."""
    labels = scalabel.read(path)
    labels.classes = (*BDD100K.classes, *(name for name in labels.classes if name not in BDD100K.classes))
    return labels


def write(labels: LabelSet, path: Path, losses: Losses) -> None:
    """Write the boxes of BDD100K's categories; others are counted by their names."""
    images = []
    for image in labels.images:
        boxes = []
        for box in image.boxes:
            name = bdd_name(box.category)
            if name is None:
                losses.add(
                    f'boxes of {box.category!r}, which BDD100K has not, are left out', image.name, box=True
                )
            else:
                boxes.append(msgspec.structs.replace(box, category=name))
        images.append(msgspec.structs.replace(image, boxes=boxes))
    scalabel.write(labels.of(images), path, losses)
