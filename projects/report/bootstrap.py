"""Confidence intervals by drawing images with replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

#: The share of the draws that an interval holds.
COVERED = 0.95


def draw_weights(num_images: int, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, images) how often each image is drawn when as many are drawn as there are, with replacement."""
    weights = np.zeros((draws, num_images), np.int32)
    rng = np.random.default_rng(seed)
    for row in weights:
        row += np.bincount(rng.integers(0, num_images, num_images), minlength=num_images)
    return weights


def resample(
    scores: Callable[[np.ndarray], np.ndarray],
    num_images: int,
    draws: int,
    progress: Callable[[range], Iterable[int]] = lambda rows: rows,
) -> np.ndarray:
    """(draws, ...) scores of drawn images; the same draws every time, so that results can be compared draw by draw.

    Args:
        scores: Gives scores, NaN where they are not defined, of images with these weights (whole numbers).
        progress: Wraps the draws.
    """
    weights = draw_weights(num_images, draws)
    return np.stack([scores(weights[i]) for i in progress(range(draws))])


def interval(values: np.ndarray) -> np.ndarray:
    """(2, ...) the middle `COVERED` of the draws (their first axis): percentile bootstrap.

    Draws without a value are left out; NaN if there is none.
    """
    tail = 50 * (1 - COVERED)
    ends = np.full((2, *values.shape[1:]), np.nan)
    some = np.isfinite(values).any(0)
    if some.any():
        ends[:, some] = np.nanpercentile(values[:, some], [tail, 100 - tail], axis=0)
    return ends
