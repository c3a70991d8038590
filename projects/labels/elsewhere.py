"""Sets of labels as values of other libraries: pandas, supervision, FiftyOne. Each is imported when it is asked for.

>>> labels = mmroad.read_labels('data/forklifts', 'val')          # doctest: +SKIP
>>> to_pandas(labels).groupby('category').size()               # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .form import Box, Image, LabelSet

if TYPE_CHECKING:
    import fiftyone
    import pandas
    import supervision


def _library(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'this needs {name}: pip install {name} ({error})') from error


def to_pandas(labels: LabelSet) -> pandas.DataFrame:
    """A row a box: ``image``, ``category``, ``x1``, ``y1``, ``x2``, ``y2`` (pixels, x2 and y2 exclusive), ``score``
    (NaN without), ``crowd``, ``ignored``, ``id``, ``video``, and ``attribute.NAME`` of boxes, ``image.NAME`` of
    images."""
    pandas = _library('pandas')
    rows = []
    for image, box in labels.boxes():
        row: dict[str, Any] = dict(image=image.name, category=box.category)
        row |= dict(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2)
        row |= dict(score=np.nan if box.score is None else box.score, crowd=box.crowd, ignored=box.ignored)
        row |= dict(id=box.id, video=image.video)
        row |= {f'attribute.{key}': value for key, value in box.attributes.items()}
        row |= {f'image.{key}': value for key, value in image.attributes.items()}
        rows.append(row)
    columns = ['image', 'category', 'x1', 'y1', 'x2', 'y2', 'score', 'crowd', 'ignored', 'id', 'video']
    more = dict.fromkeys(key for row in rows for key in row if key not in columns)
    return pandas.DataFrame(rows, columns=[*columns, *more])


def to_supervision(labels: LabelSet) -> dict[str, supervision.Detections]:
    """Detections of every image by its name. ``class_id`` counts in ``labels.classes``, ``data['class_name']`` has the
    names; ``confidence`` is there where all boxes of an image have a score."""
    supervision = _library('supervision')
    rows = {name: row for row, name in enumerate(labels.classes)}
    return {image.name: _detections(supervision, image, rows) for image in labels.images}


def _detections(supervision: Any, image: Image, rows: Mapping[str, int]) -> supervision.Detections:
    boxes = image.boxes
    scores = [box.score for box in boxes]
    scored = bool(boxes) and None not in scores
    return supervision.Detections(
        xyxy=np.array([(b.x1, b.y1, b.x2, b.y2) for b in boxes], np.float32).reshape(-1, 4),
        confidence=np.array(scores, np.float32) if scored else None,
        class_id=np.array([rows[box.category] for box in boxes], int),
        data=dict(class_name=np.array([box.category for box in boxes], dtype=str)),
    )


def to_fiftyone(
    truth: LabelSet, predictions: LabelSet | None = None, name: str | None = None, iou: float = 0.5
) -> fiftyone.Dataset:
    """A data set of FiftyOne with fields ``ground_truth`` and ``predictions``.

    Predictions are matched with the ground truth as COCO does, by ``fiftyone``'s evaluation: every box has
    ``eval`` (tp, fp or fn), every image ``eval_fp`` and ``eval_fn``, and the view ``errors`` shows the images with
    the most errors first.

    Args:
        truth: The ground truth; the images must be there.
        predictions: For the same images, by their names; None adds no field.
        name: The data set's, to find it again; None makes one up.
        iou: From which overlap on a prediction is right.

    Raises:
        ValueError: The folder of the images is not known, or the size of one.
    """
    fiftyone = _library('fiftyone')
    samples = fiftyone_samples(truth, predictions)
    dataset = fiftyone.Dataset(name)
    dataset.add_samples(samples, progress=False)
    if predictions is not None:
        dataset.evaluate_detections(
            'predictions', gt_field='ground_truth', eval_key='eval', method='coco', iou=iou, progress=False
        )
        errors = fiftyone.ViewField('eval_fp') + fiftyone.ViewField('eval_fn')
        dataset.save_view('errors', dataset.sort_by(errors, reverse=True))
    return dataset


def fiftyone_samples(truth: LabelSet, predictions: LabelSet | None = None) -> list[fiftyone.Sample]:
    """FiftyOne's samples of the images, for a data set that is there already; as `to_fiftyone`, without a database."""
    fiftyone = _library('fiftyone')
    from .sizes import need_sizes

    if truth.folder is None:
        raise ValueError(f'{truth.source}: FiftyOne needs the images: say where they are')
    need_sizes(truth)
    found = {image.name: image for image in predictions.images} if predictions else {}
    samples = []
    for image in truth.images:
        sample = fiftyone.Sample(filepath=str((truth.folder / image.name).resolve()))
        sample['ground_truth'] = _of_fiftyone(fiftyone, image.boxes, image)
        if predictions is not None:
            boxes = found[image.name].boxes if image.name in found else []
            sample['predictions'] = _of_fiftyone(fiftyone, boxes, image)
        for key, value in image.attributes.items():
            sample[key] = value
        samples.append(sample)
    return samples


def _of_fiftyone(fiftyone: Any, boxes: list[Box], image: Image) -> Any:
    """Boxes in FiftyOne's form: x, y, width, height in parts of the image's size."""
    found = []
    for box in boxes:
        sides = (
            box.x1 / image.width,
            box.y1 / image.height,
            box.width / image.width,
            box.height / image.height,
        )
        more = {
            key: value for key, value in box.attributes.items() if key not in ('label', 'id', 'confidence')
        }
        if box.crowd or box.ignored:
            more['iscrowd'] = 1
        label = fiftyone.Detection(label=box.category, bounding_box=list(sides), confidence=box.score, **more)
        found.append(label)
    return fiftyone.Detections(detections=found)
