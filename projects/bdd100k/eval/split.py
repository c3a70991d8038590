"""Scores split by the attributes of frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...files import write_text
from ..columns import Columns
from .det import align, scores_of
from .result import Scores, csv, markdown


def by_attribute(
    gt: Columns,
    pred: Columns,
    attributes: Sequence[str],
    csv_file: str | None = None,
    backend: str = 'auto',
    classes: Sequence[str] | None = None,
) -> dict[str, dict[str, Scores]]:
    """Scores of the images of each value of each attribute, printed as Markdown tables.

    Args:
        gt, pred: ``read_columns`` of both files.
        attributes: Of ``weather``, ``scene``, ``timeofday``.
        csv_file: Write every class's scores here too, one block an attribute.
        classes: Score these alone; None for all.
    """
    scores: dict[str, dict[str, Scores]] = {}
    for attribute in attributes:
        codes, values = gt.attributes[attribute], gt.attribute_values[attribute]
        scores[attribute] = {
            values[code] or '(none)': scores_of(align(gt, pred, keep=codes == code), backend, classes)
            for code in sorted(np.unique(codes), key=lambda c: values[c])
        }
        print(markdown(scores[attribute], attribute))
    if csv_file:
        write_text(csv_file, '\n'.join(csv(rows, attribute) for attribute, rows in scores.items()))
    return scores
