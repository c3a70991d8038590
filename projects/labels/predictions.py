"""Predictions of other tools as columns beside a ground truth: files and folders that people have.

- ultralytics: a folder of text files with ``class x y width height score`` (``save_txt=True save_conf=True``), or its
  ``predictions.json``;
- torchvision and RF-DETR: ``{"a.jpg": {"boxes": ..., "labels": ..., "scores": ...}}`` as JSON or a file of torch.save;
  ``xyxy``, ``class_id`` and ``confidence`` are the same by supervision's names;
- supervision's CSV and JSON sinks, with a column ``image`` (or ``file_name``, ``image_name``);
- COCO's results; Scalabel's det.json with other names of classes.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..bdd100k.coco import is_coco_results
from ..bdd100k.columns import Columns
from ..bdd100k.scalabel import LabelFileError
from ..files.json_files import read_json
from .columns import to_columns
from .form import Box, Image, LabelSet, Losses, usable
from .names import matcher, read_class_map, read_names

_IMAGE = ('image', 'file_name', 'image_name', 'filename', 'name')
_CORNERS = ('x_min', 'y_min', 'x_max', 'y_max')


class Found(NamedTuple):
    """A predicted box: of an image (its name, or its id in a COCO file), of a class (its name or number)."""

    image: str | int
    category: str | int
    corners: tuple[float, float, float, float]
    score: float


def read_predictions(
    path: str | Path,
    truth: Columns,
    names: str | None = None,
    class_map: str | Path | None = None,
    images: str | Path | None = None,
) -> tuple[Columns, list[str]]:
    """Predictions of any of these tools.

    Args:
        path: The file or folder.
        truth: The ground truth: its images, and its classes, which the result has.
        names: What the classes' numbers are called (`names.read_names`).
        class_map: A file that says which class a name stands for (`names.read_class_map`).
        images: The folder of the images, whose sizes text files of YOLO need.

    Returns:
        The columns, and what is to be told: classes and images that have no counterpart, with their numbers.

    Raises:
        LabelFileError, FileNotFoundError: The file cannot be read, or numbers of classes have no names.
    """
    path = Path(path)
    numbers = read_names(names) if names else None
    match = matcher(truth.classes, read_class_map(class_map, truth.classes) if class_map else None)
    rows, sizes = _Rows(truth), _Sizes(truth, images)
    boxes: dict[int, list[Box]] = {}
    unmatched: Counter = Counter()
    lost_images: Counter = Counter()
    losses = Losses()
    for found in _read(path, rows, sizes):
        row = rows.find(found.image)
        name = _class_name(found.category, numbers, truth, path)
        if row is None:
            lost_images[found.image] += 1
        elif (ours := match(name)) is None:
            unmatched[name] += 1
        else:
            box = Box(ours, *found.corners, found.score)
            if usable(box, truth.names[row], losses):
                boxes.setdefault(row, []).append(box)
    frames = [Image(truth.names[row], boxes[row], video=truth.videos[row]) for row in sorted(boxes)]
    told = losses.lines()
    for name, count in unmatched.most_common():
        told.append(
            f'{count} predictions of {name!r} are left out: no class of the ground truth (--class-map names one)'
        )
    if lost_images:
        first, count = next(iter(lost_images)), len(lost_images)
        told.append(
            f'predictions of {count} images are left out: the ground truth has none of them, such as {first!r} (its '
            f'own are such as {next(iter(truth.names), None)!r})'
        )
    return to_columns(LabelSet(frames, truth.classes, str(path))), told


def _class_name(category: str | int, numbers: dict[int, str] | None, truth: Columns, path: Path) -> str:
    if isinstance(category, str):
        return category
    if numbers is None:
        raise LabelFileError(
            f'{path}: its classes are numbers, such as {category}: say what they are called with --class-names: coco80 '
            '(YOLO), coco91 (torchvision, RF-DETR), data.yaml or a list'
        )
    if category not in numbers:
        raise LabelFileError(
            f'{path}: class {category} has no name in --class-names, which has {sorted(numbers)[:5]}, ...'
        )
    return numbers[category]


class _Rows:
    """Finds an image of the ground truth by its name, its path's end, its name without suffix, or its id."""

    def __init__(self, truth: Columns) -> None:
        self.names = {name: row for row, name in enumerate(truth.names)}
        self.ids = {int(id): row for row, id in enumerate(truth.image_ids)}
        self.short = self._unique(lambda path: path.name, truth)
        self.stems = self._unique(lambda path: path.stem, truth)

    @staticmethod
    def _unique(key, truth: Columns) -> dict[str, int]:
        found: dict[str, list[int]] = {}
        for row, name in enumerate(truth.names):
            found.setdefault(key(PurePosixPath(name)), []).append(row)
        return {name: rows[0] for name, rows in found.items() if len(rows) == 1}

    def find(self, image: str | int) -> int | None:
        if isinstance(image, int):
            return self.ids.get(image)
        if image in self.names:
            return self.names[image]
        path = PurePosixPath(str(image).replace('\\', '/'))
        for part in (str(PurePosixPath(*path.parts[i:])) for i in range(1, len(path.parts))):
            if part in self.names:
                return self.names[part]
        row = self.short.get(path.name)
        return self.stems.get(path.name) if row is None else row


class _Sizes:
    """The sizes of the ground truth's images, from their headers."""

    def __init__(self, truth: Columns, folder: str | Path | None) -> None:
        self.truth, self.folder = truth, None if folder is None else Path(folder)

    def of(self, row: int) -> tuple[int, int]:
        from .sizes import image_size

        if self.folder is None:
            raise LabelFileError(
                'text files of YOLO have parts of the image size: say where the images are (--images DIR)'
            )
        return image_size(self.folder / self.truth.names[row])


def _read(path: Path, rows: _Rows, sizes: _Sizes) -> Iterator[Found]:
    if path.is_dir():
        texts = sorted(p for p in path.rglob('*.txt') if p.name not in ('classes.txt', 'README.txt'))
        if not texts:
            raise LabelFileError(f'{path}: no text file of YOLO in it; name the file of the predictions')
        for text in texts:
            yield from _of_text(text, text.relative_to(path).with_suffix('').as_posix(), rows, sizes)
        return
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file or folder')
    suffix = path.suffix.lower()
    if suffix == '.csv':
        with open(path, newline='', encoding='utf-8-sig') as file:
            yield from _of_rows(csv.DictReader(file), path)
    elif suffix in ('.pt', '.pth'):
        from ..zoo.checkpoint import load_state_file

        yield from _of_tables(load_state_file(path), path)
    elif is_coco_results(path):
        yield from _of_results(path)
    else:
        content = read_json(path, what='predictions')
        if (
            isinstance(content, list)
            and content
            and isinstance(content[0], Mapping)
            and 'x_min' in content[0]
        ):
            yield from _of_rows(content, path)
        elif isinstance(content, Mapping) and 'frames' not in content and 'name' not in content:
            yield from _of_tables(content, path)
        else:
            yield from _of_scalabel(path)


def _of_text(text: Path, image: str, rows: _Rows, sizes: _Sizes) -> Iterator[Found]:
    row = rows.find(image)
    lines = [line.split() for line in text.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    size = (1, 1) if row is None or not lines else sizes.of(row)
    for number, parts in enumerate(lines, 1):
        try:
            category, x, y, w, h, score, *_ = map(float, parts)
        except ValueError:
            raise LabelFileError(
                f'{text}: line {number}: {" ".join(parts)[:60]!r} is no "class x y width height score"; ultralytics '
                'writes the score with save_conf=True'
            ) from None
        width, height = size
        corners = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        yield Found(image, int(category), corners, score)


def _of_rows(rows: Any, path: Path) -> Iterator[Found]:
    """supervision's sinks: a row a box."""
    for number, row in enumerate(rows, 1):
        data = {**row, **(row['data'] if isinstance(row.get('data'), Mapping) else {})}
        image = next((data[key] for key in _IMAGE if data.get(key)), None)
        if image is None:
            raise LabelFileError(
                f'{path}: row {number} has no image; write one with the sink: custom_data={{"image": NAME}}'
            )
        try:
            corners = tuple(float(data[key]) for key in _CORNERS)
            score = float(data['confidence'])
            name = data.get('class_name') or int(data['class_id'])
        except (KeyError, TypeError, ValueError) as error:
            raise LabelFileError(f'{path}: row {number}: {type(error).__name__}: {error}') from error
        yield Found(str(image), name, corners, score)


def _of_tables(content: Mapping[str, Any], path: Path) -> Iterator[Found]:
    """torchvision's and RF-DETR's outputs by the name of the image."""
    for image, table in content.items():
        if not isinstance(table, Mapping):
            raise LabelFileError(f'{path}: {image!r}: expected "boxes", "labels" and "scores"')
        columns = []
        for keys in (('boxes', 'xyxy'), ('labels', 'class_name', 'class_id'), ('scores', 'confidence')):
            values = next((table[key] for key in keys if table.get(key) is not None), None)
            if values is None:
                raise LabelFileError(f'{path}: {image!r} has no {" or ".join(keys)}; it has {sorted(table)}')
            columns.append(values.tolist() if hasattr(values, 'tolist') else list(values))
        boxes, labels, scores = columns
        if not len(boxes) == len(labels) == len(scores):
            raise LabelFileError(
                f'{path}: {image!r}: {len(boxes)} boxes, {len(labels)} labels, {len(scores)} scores'
            )
        for box, label, score in zip(boxes, labels, scores):
            yield Found(str(image), label if isinstance(label, str) else int(label), tuple(box), float(score))


def _of_results(path: Path) -> Iterator[Found]:
    for number, result in enumerate(read_json(path, list[dict[str, Any]], "COCO's results"), 1):
        try:
            x, y, width, height = result['bbox']
            score, category, image = float(result['score']), result['category_id'], result['image_id']
        except (KeyError, TypeError, ValueError) as error:
            raise LabelFileError(f'{path}: result {number}: {type(error).__name__}: {error}') from error
        yield Found(result.get('file_name', image), category, (x, y, x + width, y + height), score)


def _of_scalabel(path: Path) -> Iterator[Found]:
    from .scalabel import read

    for image, box in read(path).boxes():
        if box.score is None:
            raise LabelFileError(f'{path}: frame {image.name!r}: a {box.category} has no score')
        yield Found(image.name, box.category, (box.x1, box.y1, box.x2, box.y2), box.score)
