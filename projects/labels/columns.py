"""Sets of labels as the columns that are trained on and scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bdd100k.columns import FRAME_ATTRIBUTES, Columns
from .form import LabelSet


def to_columns(labels: LabelSet, classes: Sequence[str] | None = None) -> Columns:
    """The boxes of a set of labels.

    Args:
        labels: The set.
        classes: Boxes of others are left out; None takes the set's.
    """
    classes = tuple(labels.classes if classes is None else classes)
    rows = {name: row for row, name in enumerate(classes)}
    found = [(i, box) for i, image in enumerate(labels.images) for box in image.boxes if box.category in rows]
    boxes = [box for _, box in found]
    xyxy = np.array([(b.x1, b.y1, b.x2, b.y2) for b in boxes], float).reshape(-1, 4)
    xyxy[:, 2:] -= 1  # inclusive there
    attributes, values = {}, {}
    for key in FRAME_ATTRIBUTES:
        table: dict[str, int] = {}
        texts = (image.attributes.get(key) for image in labels.images)
        codes = [table.setdefault('' if text is None else str(text), len(table)) for text in texts]
        attributes[key], values[key] = np.array(codes, np.int32), list(table)
    ids = [image.id for image in labels.images]
    known = [labels.category_ids.get(name) for name in classes]
    return Columns(
        names=[image.name for image in labels.images],
        videos=[image.video for image in labels.images],
        has_labels=np.array([bool(image.boxes) for image in labels.images], bool),
        attributes=attributes,
        attribute_values=values,
        frame=np.array([row for row, _ in found], np.int32),
        category=np.array([rows[box.category] for box in boxes], np.int16),
        xyxy=xyxy,
        score=np.array([np.nan if box.score is None else box.score for box in boxes], float),
        ignored=np.array([box.ignored for box in boxes], bool),
        crowd=np.array([box.crowd for box in boxes], bool),
        source=labels.source,
        classes=classes,
        image_ids=None if None in ids else np.array(ids, np.int64),
        category_ids=None if None in known else tuple(known),
    )
