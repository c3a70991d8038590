"""Names of classes: of numbers in predictions, and those that mean the same in two lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..bdd100k.scalabel import LabelFileError
from .bdd import bdd_name

#: COCO's 80 classes in their order, as YOLO's models number them from 0.
COCO80 = (
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat', 'traffic light',
    'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog', 'horse', 'sheep', 'cow', 'elephant',
    'bear', 'zebra', 'giraffe', 'backpack', 'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard',
    'sports ball', 'kite', 'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange', 'broccoli',
    'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant', 'bed', 'dining table', 'toilet',
    'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink',
    'refrigerator', 'book', 'clock', 'vase', 'scissors', 'teddy bear', 'hair drier', 'toothbrush',
)  # fmt: skip
#: Ids below 91 that no class of COCO's annotations has.
_SPARE = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
#: The ids of COCO's annotations, as torchvision's and RF-DETR's models number them.
COCO91 = dict(zip((id for id in range(1, 91) if id not in _SPARE), COCO80, strict=True))


def read_names(source: str) -> dict[int, str]:
    """The names of class numbers.

    Args:
        source: ``coco80`` (YOLO's numbers, from 0), ``coco91`` (the ids of COCO's annotations), or a file:
            ``data.yaml`` of YOLO, a COCO file with ``categories``, a JSON or YAML list (from 0) or table of names,
            or a text file with a name a line (from 0).

    Raises:
        FileNotFoundError, LabelFileError: It cannot be used; names it.
    """
    if source == 'coco80':
        return dict(enumerate(COCO80))
    if source == 'coco91':
        return dict(COCO91)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; names are coco80, coco91 or a file')
    if path.suffix.lower() not in ('.json', '.yaml', '.yml'):
        lines = path.read_text(encoding='utf-8-sig').splitlines()
        return dict(enumerate(line.strip() for line in lines if line.strip()))
    content = _load(path)
    if isinstance(content, Mapping):
        if isinstance(content.get('categories'), list):
            content = {entry.get('id'): entry.get('name') for entry in content['categories']}
        content = content.get('names', content) if isinstance(content, Mapping) else content
    if isinstance(content, list):
        content = dict(enumerate(content))
    try:
        return {int(number): str(name) for number, name in content.items()}
    except (AttributeError, TypeError, ValueError):
        raise LabelFileError(f'{path}: expected a list of names, or a table of numbers and names') from None


def _load(path: Path):
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding='utf-8-sig'))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelFileError(f'{path}: cannot be read: {error}') from error


def read_class_map(path: str | Path, classes: Sequence[str]) -> dict[str, str | None]:
    """A table of names, JSON or YAML, ``{"their name": "ours"}``; null leaves a class out on purpose.

    Raises:
        FileNotFoundError, LabelFileError: It cannot be used, or names a class that the ground truth has not.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file (--class-map)')
    content = _load(path)
    if not isinstance(content, Mapping):
        raise LabelFileError(f'{path}: expected a table such as {{"Person": "{classes[0]}", "kite": null}}')
    table = {str(key): None if value is None else str(value) for key, value in content.items()}
    unknown = sorted({value for value in table.values() if value is not None and value not in classes})
    if unknown:
        raise LabelFileError(
            f'{path}: maps to {", ".join(unknown)}; the ground truth has the classes {", ".join(classes)}'
        )
    return table


def plain(name: str) -> str:
    """A name as it is compared: lower case, ``_`` and ``-`` as blanks."""
    return re.sub(r'[\s_-]+', ' ', name).strip().lower()


def matcher(
    classes: Sequence[str], given: Mapping[str, str | None] | None = None
) -> Callable[[str], str | None]:
    """What finds the class that a name stands for: by a table, by its spelling, or by known aliases (COCO's person is
    BDD100K's pedestrian); None where it stands for none."""
    table = {plain(name): name for name in classes}
    aliases = {known: name for name in classes if (known := bdd_name(name))}
    given = given or {}

    def match(name: str) -> str | None:
        if name in given:
            return given[name]
        return table.get(plain(name)) or aliases.get(bdd_name(name) or '')

    return match
