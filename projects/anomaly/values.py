"""The scores of one image as all protocols take them: checked, and by class."""

from __future__ import annotations

import numpy as np

#: Label values of a mask; everything else is left out.
INLIER, OUTLIER = 0, 1


def by_class(
    scores: np.ndarray, labels: np.ndarray, name: str = 'the image'
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of an image's inliers and outliers, (n,) and (m,), of one type.

    Args:
        scores: (H, W), higher is more anomalous; floating point numbers, integers or truth values (of which
            uint8 are made).
        labels: (H, W), 0 inlier, 1 outlier, anything else left out.
        name: For messages.

    Raises:
        ValueError: Other shapes, scores of another kind, or scores that are not numbers.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape:
        raise ValueError(f'{name}: scores of {scores.shape} but labels of {labels.shape}')
    if scores.dtype.kind not in 'fiub':
        raise ValueError(f'{name}: scores are {scores.dtype}, expected floating point numbers or integers')
    if scores.dtype.kind == 'b':
        scores = scores.astype(np.uint8)
    if not scores.dtype.isnative:
        scores = scores.astype(scores.dtype.newbyteorder('='))
    parts = scores[labels == INLIER], scores[labels == OUTLIER]
    if any(part.size and np.isnan(part.max()) for part in parts):  # NaN is the largest of all
        raise ValueError(f'{name}: anomaly scores that are not numbers (NaN)')
    return parts


def widened(values: np.ndarray) -> np.ndarray:
    """Values that may be sorted: float32 for float16.

    NumPy 2.0 to 2.4 sort float16 with negative values wrongly on processors that have AVX-512 without its
    half-precision part (Ice Lake), and so do ``np.unique``, ``np.histogram`` and other functions that sort.
    """
    return values.astype(np.float32) if values.dtype == np.float16 else values
