"""What may be wrong with a data set: images, boxes, classes, and splits that share images."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.images import ImageError
from .form import Box, Image, LabelSet
from .sizes import image_size

#: A side of fewer pixels is tiny.
TINY = 2.0
#: A box of a larger part of its image is huge.
HUGE = 0.9
#: Pixels by which a box may reach beyond its image (those of BDD100K do, by rounding).
BEYOND = 1.0
#: Fewer boxes of a class are hardly learned; and of more times as many another has the better of it.
FEW, IMBALANCE = 20, 100


@dataclass
class Finding:
    """One kind of thing that is wrong, or may be."""

    kind: str
    wrong: bool  #: or worth a look
    what: str  #: a sentence, without the number
    places: list[tuple[str, str, list[float] | None]] = field(
        default_factory=list
    )  #: split, image, box's corners
    count: int = 0

    def add(self, split: str, image: str, box: Box | None = None, told: int = 200) -> None:
        """Count one; the first ``told`` are kept."""
        self.count += 1
        if len(self.places) < told:
            self.places.append((split, image, None if box is None else [box.x1, box.y1, box.x2, box.y2]))


KINDS = {
    'missing': (True, 'images are not there'),
    'unreadable': (True, 'images cannot be read'),
    'size': (True, 'images have another size than their labels say'),
    'leak': (True, 'images are in several splits (the same bytes): scores on one of them tell nothing'),
    'same_name': (True, 'names stand for several images of a split'),
    'outside': (True, 'boxes lie outside their image'),
    'duplicate': (False, 'images are in a split more than once (the same bytes)'),
    'beyond': (False, f'boxes reach more than {BEYOND:g} pixel beyond their image'),
    'tiny': (False, f'boxes have a side below {TINY:g} pixels'),
    'huge': (False, f'boxes cover more than {HUGE:.0%} of their image'),
    'twice': (False, 'boxes stand twice (the same class and corners)'),
    'empty': (False, 'images have no box'),
    'few': (False, f'classes have fewer than {FEW} boxes to learn from'),
    'imbalance': (False, f'classes have fewer than 1 box for {IMBALANCE} of the most frequent class'),
    'unseen': (True, 'classes are in another split and have no box in train'),
    'lost': (False, 'labels are no boxes, or no box can be made of them'),
}


def check(
    sets: Mapping[str, LabelSet],
    progress: Callable[[Sequence[Image], str], Iterable[Image]] = lambda images, _: images,
) -> list[Finding]:
    """Look through sets of labels and their images.

    Args:
        sets: By their split.
        progress: Wraps the images of a split that are walked through, given its name.

    Returns:
        What was found, wrong things first. Images are looked for where their folder is known.
    """
    found = {kind: Finding(kind, wrong, what) for kind, (wrong, what) in KINDS.items()}
    hashes: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for split, labels in sets.items():
        names = Counter(image.name for image in labels.images)
        for name in (name for name, count in names.items() if count > 1):
            found['same_name'].add(split, name)
        for image in progress(labels.images, split):
            _look_at_file(labels, image, split, found, hashes)
            _look_at_boxes(image, split, found)
        for what, count in labels.losses.counts.items():
            found['lost'].count += count
            found['lost'].places.append(
                (split, f'{count} {what}; the first in {labels.losses.first[what]}', None)
            )
    for places in hashes.values():
        if len({split for split, _ in places}) > 1:
            for split, name in places:
                found['leak'].add(split, name)
        splits = Counter(split for split, _ in places)
        for split, name in places:
            if splits[split] > 1:
                found['duplicate'].add(split, name)
    _look_at_classes(sets, found)
    order = list(KINDS)
    return sorted((f for f in found.values() if f.count), key=lambda f: (not f.wrong, order.index(f.kind)))


def _look_at_file(
    labels: LabelSet, image: Image, split: str, found: dict[str, Finding], hashes: dict[bytes, list]
) -> None:
    path = labels.path(image)
    if path is None or not path.is_file():
        found['missing'].add(split, image.name)
        return
    try:
        size = image_size(path)
    except ImageError:
        found['unreadable'].add(split, image.name)
        return
    if image.width and image.height and (image.width, image.height) != size:
        found['size'].add(split, image.name)
    image.width, image.height = size
    hashes[_digest(path)].append((split, image.name))


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _look_at_boxes(image: Image, split: str, found: dict[str, Finding]) -> None:
    if not image.boxes:
        found['empty'].add(split, image.name)
    seen = set()
    for box in image.boxes:
        key = box.category, box.x1, box.y1, box.x2, box.y2
        if key in seen:
            found['twice'].add(split, image.name, box)
        seen.add(key)
        if min(box.width, box.height) < TINY:
            found['tiny'].add(split, image.name, box)
        if not image.width or not image.height:
            continue
        width, height = image.width, image.height
        if box.x2 <= 0 or box.y2 <= 0 or box.x1 >= width or box.y1 >= height:
            found['outside'].add(split, image.name, box)
        elif min(box.x1, box.y1) < -BEYOND or box.x2 > width + BEYOND or box.y2 > height + BEYOND:
            found['beyond'].add(split, image.name, box)
        if box.width * box.height > HUGE * width * height:
            found['huge'].add(split, image.name, box)


def _look_at_classes(sets: Mapping[str, LabelSet], found: dict[str, Finding]) -> None:
    counts = {split: Counter(b.category for _, b in labels.boxes()) for split, labels in sets.items()}
    learned = 'train' if 'train' in sets else next(iter(sets))
    most = max(counts[learned].values(), default=0)
    for name in next(iter(sets.values())).classes:
        count = counts[learned][name]
        others = sum(counts[split][name] for split in sets if split != learned)
        if not count and others:
            found['unseen'].add(learned, f'{name}: {others} boxes elsewhere')
        elif count < FEW:
            found['few'].add(learned, f'{name}: {count} boxes')
        if count * IMBALANCE < most:
            found['imbalance'].add(learned, f'{name}: {count} of {most}')


def summary(findings: Sequence[Finding]) -> str:
    """A line for each finding, with its first places."""
    if not findings:
        return 'nothing wrong was found\n'
    lines = []
    for finding in findings:
        first = ', '.join(f'{split}: {name}' if split else name for split, name, _ in finding.places[:3])
        more = ', ...' if finding.count > 3 and len(finding.places) > 3 else ''
        lines.append(f'{"WRONG" if finding.wrong else "look "} {finding.count} {finding.what}: {first}{more}')
    return '\n'.join(lines) + '\n'


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as plain values."""
    return [
        dict(
            kind=f.kind,
            wrong=f.wrong,
            count=f.count,
            what=f.what,
            places=[dict(split=split, image=name, box=box) for split, name, box in f.places],
        )
        for f in findings
    ]
