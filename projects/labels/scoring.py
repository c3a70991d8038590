"""Ground truth and predictions of any format and any classes, as the evaluator takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..bdd100k.categories import ANY, BDD100K
from ..bdd100k.coco import is_coco, is_coco_results, read_coco_results
from ..bdd100k.columns import Columns, read_columns
from ..bdd100k.scalabel import DET_CLASSES, det_classes
from .bdd import bdd_name
from .columns import to_columns

#: In place of classes: those of the ground truth.
FROM_FILES = 'from-files'


def read_truth(path: str | Path, classes: Sequence[str] | None = None) -> tuple[Columns, list[str]]:
    """The ground truth of an evaluation.

    BDD100K's ten classes are scored by its rules, unless other classes are named (or ``from-files``), the file is a
    COCO file with other categories, or it is of a format that is none of BDD100K's.

    Args:
        path: Scalabel, COCO, or any of `labels.FORMATS`.
        classes: As the command line has them; those named are not chosen here (`scores_of` does), but must be there.

    Returns:
        The columns, and what there is to say.

    Raises:
        LabelFileError: The file cannot be used.
        ValueError: A class that is asked for is none of the file's.
    """
    path, wanted = Path(path), [name for name in classes or () if name != FROM_FILES]
    any_classes = FROM_FILES in (classes or ()) or (bool(wanted) and not _are_bdd100ks(wanted))
    if not _is_columns(path):
        from .formats import read_sets

        sets = read_sets(path)
        if len(sets) > 1:
            sets = {split: labels for split, labels in sets.items() if split == 'val'} or sets
            if len(sets) > 1:
                raise ValueError(f'{path}: has {", ".join(sets)}: name the one to score by')
        (labels,) = sets.values()
        truth, any_classes = to_columns(labels), True
    else:
        any_classes = any_classes or (path.is_file() and is_coco(path) and not _coco_is_bdd100ks(path))
        truth = read_columns(path, ANY if any_classes else BDD100K)
    if not any_classes:
        return truth, []
    unknown = [name for name in wanted if name not in truth.classes]
    if unknown:
        raise ValueError(
            f'--classes: the ground truth has no {", ".join(unknown)}; its classes are {truth.classes}'
        )
    return truth, [f'{len(truth.classes)} classes of the ground truth: {", ".join(truth.classes)}']


def _are_bdd100ks(names: Sequence[str]) -> bool:
    try:
        det_classes(names)
    except ValueError:
        return False
    return True


def _is_columns(path: Path) -> bool:
    """Whether the evaluator's own reader takes a path: Scalabel and COCO, files and folders."""
    if path.is_file():
        return path.suffix.lower() not in ('.xml', '.yaml', '.yml') and _form(path) not in (
            'labelme',
            'labelstudio',
        )
    return (
        not path.is_dir()
        or any(path.glob('[!.]*.json'))
        and _form(next(path.glob('[!.]*.json'))) != 'labelme'
    )


def _form(path: Path) -> str | None:
    from .recognize import form_of

    return None if is_coco_results(path) else form_of(path)


class _Names(msgspec.Struct):
    categories: list[dict[str, object]] = []


def _coco_is_bdd100ks(path: Path) -> bool:
    """Whether all categories of a COCO file are BDD100K's by name."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_Names)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    names = [str(category.get('name')) for category in file.categories]
    return bool(names) and all(name in BDD100K.codes() and bdd_name(name) for name in names)


def read_result(
    path: str | Path,
    truth: Columns,
    names: str | None = None,
    class_map: str | None = None,
    images: str | None = None,
) -> tuple[Columns, list[str]]:
    """Predictions of any tool for a ground truth; see `predictions.read_predictions`.

    Scalabel's det.json with the classes' own names, and COCO results with the ground truth's ids, are read as they
    are.
    """
    path = Path(path)
    if not path.exists():
        read_columns(path)  # says so
    other = names or class_map or images
    if not other and path.is_file() and is_coco_results(path) and _has_ids(path, truth):
        return read_coco_results(path, truth), []
    if (
        not other
        and _is_columns(path)
        and (path.is_dir() or _form(path) in ('scalabel', None))
        and not _by_image(path)
    ):
        if truth.classes == DET_CLASSES:
            return read_columns(path), []
        found = read_columns(path, ANY)
        if set(found.classes) <= set(truth.classes):
            return found.of_classes(truth.classes), []
    from .predictions import read_predictions

    return read_predictions(path, truth, names, class_map, images)


def _by_image(path: Path) -> bool:
    """Whether a file is a table of predictions by image, or of another kind than JSON."""
    if path.is_dir():
        return False
    if path.suffix.lower() in ('.csv', '.pt', '.pth'):
        return True
    with open(path, 'rb') as file:
        head = file.read(1 << 16)
    return b'"x_min"' in head or (b'"boxes"' in head or b'"xyxy"' in head) and b'"labels": [{' not in head


def _has_ids(path: Path, truth: Columns) -> bool:
    """Whether the first result has ids of the ground truth."""

    class _Result(msgspec.Struct):
        image_id: object
        category_id: object

    first = next(iter(msgspec.json.decode(path.read_bytes(), type=list[_Result])), None)
    return first is None or isinstance(first.image_id, int)
