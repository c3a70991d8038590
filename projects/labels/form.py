"""The one form that every format is read into and written from: images with their boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec


class Box(msgspec.Struct):
    """One object: corners in pixels from the image's upper left corner, ``x2`` and ``y2`` exclusive (width is
    ``x2 - x1``)."""

    category: str
    x1: float
    y1: float
    x2: float
    y2: float
    score: float | None = None  #: of a prediction, 0 to 1
    crowd: bool = False  #: several objects under one box
    ignored: bool = False  #: a region that is neither trained on nor scored
    id: str | None = None  #: the object's own; of a video, the same in all its frames
    attributes: dict[str, Any] = {}

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1


class Image(msgspec.Struct):
    """One image; ``name`` is its path below the folder of the images, with ``/``."""

    name: str
    boxes: list[Box] = []
    width: int | None = None  #: pixels, where known
    height: int | None = None
    attributes: dict[str, Any] = {}
    video: str | None = None
    frame: int | None = None  #: its place in the video
    id: int | None = None  #: in a COCO file


@dataclass
class Losses:
    """What could not be kept, by what it is: how many, and the image of the first."""

    counts: Counter = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    boxes: int = 0  #: boxes among them that are missing or another than they were

    def add(self, what: str, image: str, count: int = 1, box: bool = False) -> None:
        """Count something of an image; ``box`` where a box is missing or another because of it."""
        if count:
            self.counts[what] += count
            self.first.setdefault(what, image)
            self.boxes += count if box else 0

    def add_all(self, other: Losses) -> None:
        for what, count in other.counts.items():
            self.add(what, other.first[what], count)
        self.boxes += other.boxes

    def lines(self) -> list[str]:
        """A line for each kind."""
        return [f'{count} {what} (first in {self.first[what]})' for what, count in self.counts.items()]


@dataclass
class LabelSet:
    """Images with their boxes."""

    images: list[Image]
    classes: tuple[str, ...]  #: all that a box may have, in their order
    source: str  #: where they were read, for messages
    folder: Path | None = None  #: where the images are, where that is known
    losses: Losses = field(default_factory=Losses)  #: what the file had and this form has not
    category_ids: dict[str, int] = field(default_factory=dict)  #: in a COCO file

    def __len__(self) -> int:
        return len(self.images)

    def boxes(self) -> Iterator[tuple[Image, Box]]:
        return ((image, box) for image in self.images for box in image.boxes)

    def path(self, image: Image) -> Path | None:
        """An image's file; None where the folder is not known."""
        return None if self.folder is None else self.folder / image.name

    def of(self, images: list[Image]) -> LabelSet:
        """Some of the images, of the same classes."""
        return replace(self, images=images, losses=Losses())


def classes_in(images: list[Image], first: tuple[str, ...] = ()) -> tuple[str, ...]:
    """``first``, and after them the other categories of the boxes in the order of the alphabet."""
    found = {box.category for image in images for box in image.boxes}
    return (*first, *sorted(found.difference(first)))


def usable(box: Box, image: str, losses: Losses) -> bool:
    """Whether a box has finite corners and a positive size; if not, it is counted."""
    import math

    corners = box.x1, box.y1, box.x2, box.y2
    good = all(map(math.isfinite, corners)) and box.x2 > box.x1 and box.y2 > box.y1
    if not good:
        losses.add('boxes without a positive size are left out', image, box=True)
    return good


def is_yes(value: Any) -> bool:
    """Whether an attribute says yes (as BDD100K's evaluator reads it)."""
    from ..bdd100k.scalabel import is_true

    return is_true(value)


def take_flags(attributes: dict[str, Any]) -> tuple[dict[str, Any], bool, bool]:
    """Attributes without ``crowd`` and ``ignored``, and what these said.

    Raises:
        ValueError: They are no truth values.
    """
    rest = {key: value for key, value in attributes.items() if key not in ('crowd', 'ignored')}
    return rest, is_yes(attributes.get('crowd')), is_yes(attributes.get('ignored'))


def with_flags(box: Box, always: bool = False) -> dict[str, Any]:
    """A box's attributes with ``crowd`` and ``ignored`` where they are true (or ``always``)."""
    flags = {key: value for key, value in (('crowd', box.crowd), ('ignored', box.ignored)) if value or always}
    return {**box.attributes, **flags}


def encode(record: Any) -> bytes:
    """A record as JSON; numbers of numpy are taken too."""
    return msgspec.json.encode(record, enc_hook=lambda value: value.item())
