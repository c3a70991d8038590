"""A Kalman filter of boxes that move evenly, for many tracks at once (SORT, Bewley et al. 2016; noise of ByteTrack).

A box is its middle x and y, aspect ratio and height. As the noise of the four is independent, each is a filter of
its own with a value and a velocity. Noise is given for steps of 1/30 s and grows with the time between frames, so that
videos of any rate are treated alike.
"""

from __future__ import annotations

import numpy as np

#: Steps of the noise a second.
RATE = 30.0
_POSITION, _VELOCITY = 1 / 20, 1 / 160  # of the height


def to_state(boxes: np.ndarray) -> np.ndarray:
    """(n, 4) x1, y1, x2, y2 as middle x and y, width / height and height."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    return np.column_stack([boxes[:, :2] + size / 2, size[:, 0] / size[:, 1], size[:, 1]])


def to_boxes(state: np.ndarray) -> np.ndarray:
    """The inverse of `to_state`."""
    x, y, aspect, height = state.T
    width = aspect * height
    return np.column_stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def _noise(height: np.ndarray, scale: float, aspect: float) -> np.ndarray:
    """(n, 4) standard deviations: a part of the height, and of the aspect ratio one of its own."""
    deviation = np.repeat(scale * height[:, None], 4, 1)
    deviation[:, 2] = aspect
    return deviation


def begin(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n, 4, 2), values and velocities a step, and covariance (n, 4, 2, 2) of new tracks."""
    state = to_state(boxes)
    mean = np.stack([state, np.zeros_like(state)], -1)
    covariance = np.zeros((len(boxes), 4, 2, 2))
    covariance[..., 0, 0] = _noise(state[:, 3], 2 * _POSITION, 1e-2) ** 2
    covariance[..., 1, 1] = _noise(state[:, 3], 10 * _VELOCITY, 1e-5) ** 2
    return mean, covariance


def predict(mean: np.ndarray, covariance: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The tracks after some time."""
    steps = seconds * RATE
    height = mean[:, 3, 0]
    mean, covariance = mean.copy(), covariance.copy()
    mean[..., 0] += steps * mean[..., 1]
    mean[:, 3, 0] = np.maximum(mean[:, 3, 0], 1.0)
    p = covariance
    p[..., 0, 0] += 2 * steps * p[..., 0, 1] + steps**2 * p[..., 1, 1]
    p[..., 0, 0] += steps * _noise(height, _POSITION, 1e-2) ** 2
    p[..., 0, 1] += steps * p[..., 1, 1]
    p[..., 1, 0] = p[..., 0, 1]
    p[..., 1, 1] += steps * _noise(height, _VELOCITY, 1e-5) ** 2
    return mean, covariance


def update(mean: np.ndarray, covariance: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tracks after a box was seen of each."""
    total = covariance[..., 0, 0] + _noise(mean[:, 3, 0], _POSITION, 1e-1) ** 2
    gain = covariance[..., 0] / total[..., None]  # (n, 4, 2)
    error = to_state(boxes) - mean[..., 0]
    new = covariance - gain[..., :, None] * covariance[..., 0, :][..., None, :]
    return mean + gain * error[..., None], new
