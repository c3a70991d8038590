"""Labels of boxes as a training reads them: read as they are where that is possible, else converted and split."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...bdd100k.scalabel import LabelFileError
from ..form import Image, LabelSet
from ..formats import read_sets, write
from ..recognize import recognize

#: What the data set reads as it is.
_READ = ('bdd', 'scalabel', 'coco')


@dataclass
class Part:
    """Labels of one split for a data set."""

    ann_file: Path
    images: Path
    labels: LabelSet


@dataclass
class Boxes:
    """What a detector is trained and validated on."""

    train: Part
    val: Part
    classes: tuple[str, ...]
    bdd100k: bool  #: by BDD100K's rules and ten classes
    said: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Training images with a box to learn from."""
        return sum(_learned(image, self.classes) for image in self.train.labels.images)


def _learned(image: Image, classes: Sequence[str]) -> bool:
    return any(box.category in classes and not box.crowd and not box.ignored for box in image.boxes)


def prepare_boxes(
    data: str | Path,
    folder: Path,
    form: str | None = None,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    val_split: float | None = None,
    seed: int = 0,
) -> Boxes:
    """Recognize a data set, check it and make its label files.

    Args:
        data: The data set.
        folder: Where label files are written that are converted or split.
        form: Its format; None looks.
        images: The folder of its images; None looks.
        classes: These alone, in this order; None takes all of the labels.
        val_split: Where there is one set: the part that is held out; None is 0.1, 0 validates on all.
        seed: Of the split.

    Raises:
        LabelFileError: As `recognize`; names the file.
        ValueError: Images are not there, there is no box, or a class has none.
    """
    found = recognize(data, form)
    forms = {one.format for one in found}
    sets = read_sets(data, form, images)
    said = [f'{data}: {_name(forms)}, {_counts(sets)}']
    bdd100k = forms == {'bdd'}
    for labels in sets.values():
        _check_images(labels)
        said += [f'{labels.source}: {line}' for line in labels.losses.lines()]
    classes = _classes(sets, classes, bdd100k)
    said.append(f'{len(classes)} classes: {", ".join(classes)}')
    # a file with boxes that cannot be used is written anew without them
    files = {o.split: o.files[0] for o in found if o.format in _READ and not sets[o.split].losses.boxes}
    sets, files, more = _splits(sets, files, val_split, seed)
    said += more
    as_they_are = set(files) == set(sets)
    if not as_they_are:
        keep = 'coco' if forms == {'coco'} else 'bdd' if bdd100k else 'scalabel'
        for split, labels in sets.items():
            (file,), _ = write({'': labels}, keep, folder / f'{split}.json')
            files[split] = file
    parts = {
        split: Part(files[split].resolve(), labels.folder.resolve(), labels) for split, labels in sets.items()
    }
    boxes = Boxes(parts['train'], parts['val'], classes, bdd100k, said)
    if not boxes.images:
        raise ValueError(f'{data}: no training image has a box to learn from')
    return boxes


def _name(forms: set[str]) -> str:
    names = dict(
        bdd='BDD100K', scalabel='Scalabel', coco='COCO', yolo='YOLO', voc='Pascal VOC', cvat='CVAT'
    ) | dict(labelstudio='Label Studio')
    return ' and '.join(names.get(form, form) for form in sorted(forms))


def _counts(sets: dict[str, LabelSet]) -> str:
    parts = []
    for split, labels in sets.items():
        boxes = sum(len(image.boxes) for image in labels.images)
        parts.append(f'{len(labels)} images with {boxes} boxes' + (f' ({split})' if split else ''))
    return ', '.join(parts)


def _check_images(labels: LabelSet) -> None:
    if labels.folder is None:
        raise ValueError(
            f'{labels.source}: its images, such as {labels.images[0].name}, were not found: say where they are '
            '(--images DIR)'
        )
    missing = [image.name for image in labels.images if not (labels.folder / image.name).is_file()]
    if missing:
        raise ValueError(
            f'{labels.source}: {len(missing)} of {len(labels)} images are not in {labels.folder}, the first is '
            f'{missing[0]}: put them there, take them out of the labels, or say where they are (--images DIR)'
        )


def _classes(sets: dict[str, LabelSet], wanted: Sequence[str] | None, bdd100k: bool) -> tuple[str, ...]:
    from ...bdd100k.scalabel import DET_CLASSES, det_classes

    have = next(iter(sets.values())).classes
    used = {box.category for labels in sets.values() for _, box in labels.boxes()}
    if bdd100k:
        return det_classes(wanted) if wanted else DET_CLASSES
    if wanted is None:
        # a class of the list without a box anywhere (Roboflow's COCO files have one) is nothing to learn
        return tuple(name for name in have if name in used)
    unknown = [name for name in wanted if name not in used]
    if unknown:
        raise ValueError(f'--classes: no box is of {", ".join(unknown)}; there are {", ".join(sorted(used))}')
    if len(set(wanted)) < len(wanted):
        raise ValueError('--classes: one stands twice')
    return tuple(wanted)


def _splits(
    sets: dict[str, LabelSet], files: dict[str, Path], val_split: float | None, seed: int
) -> tuple[dict[str, LabelSet], dict[str, Path], list[str]]:
    """Sets ``train`` and ``val``; the files of sets that stay as they are; and what there is to say."""
    if 'train' in sets and ('val' in sets or 'test' in sets):
        val = 'val' if 'val' in sets else 'test'
        said = [] if val == 'val' else ['there is no val: the test set is validated on']
        if val_split is not None:
            said.append(f'--val-split is not needed: there is a set {val}')
        chosen = {'train': sets['train'], 'val': sets[val]}
        return (
            chosen,
            {new: files[old] for new, old in (('train', 'train'), ('val', val)) if old in files},
            said,
        )
    name, labels = next(iter(sets.items()))
    if len(sets) > 1:
        raise LabelFileError(
            f'{labels.source}: there is no train among {", ".join(sets)}: name one of them as --data'
        )
    part = 0.1 if val_split is None else val_split
    if part == 0:
        same = {split: files[name] for split in ('train', 'val') if name in files}
        return dict(train=labels, val=labels), same, ['validated on the training images themselves']
    held = hold_out(labels.images, part, seed)
    train = [image for image in labels.images if image.name not in held]
    val = [image for image in labels.images if image.name in held]
    if not train or not val:
        raise ValueError(
            f'{labels.source}: {len(labels)} images cannot be split into two sets (of videos, whole ones are held '
            'out): --val-split 0 validates on the training images'
        )
    said = [f'{len(val)} of {len(labels)} images are held out for validation (seed {seed})']
    return dict(train=labels.of(train), val=labels.of(val)), {}, said


def hold_out(images: Sequence[Image], part: float, seed: int) -> set[str]:
    """Names of about a part of some images, at least one, drawn with a seed: the same on every machine. All images
    of a video go together."""
    groups: dict[str, list[str]] = {}
    for image in images:
        groups.setdefault(image.name if image.video is None else f'video {image.video}', []).append(
            image.name
        )
    keys = sorted(groups)
    random.Random(seed).shuffle(keys)
    wanted, held = max(1, round(part * len(images))), set()
    for key in keys:
        if len(held) >= wanted:
            break
        held.update(groups[key])
    return held
