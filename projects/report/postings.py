"""Which images belong to a cell or to an error kind, at any score threshold: a few bytes for each.

A list of images is written as text that a page reads in milliseconds: for each image, rising, its distance from the
last one (seven bits a byte, the low ones first, the eighth bit says that more follow) and a level of one byte, all in
base64.
"""

from __future__ import annotations

import base64

import numpy as np

#: Levels of the scores: hundredths.
LEVELS = 100


def levels(score: np.ndarray, steps: int = LEVELS) -> np.ndarray:
    """The highest whole number whose ``steps``-th part is not above the score: ``score >= k / steps`` is
    ``level >= k`` for every whole k."""
    level = np.round(score * steps).astype(np.int64)
    return level - (level / steps > score)


def highest(key: np.ndarray, image: np.ndarray, level: np.ndarray, lowest: bool = False) -> dict[int, tuple]:
    """The images of each key, with the highest (or the lowest) level among their records.

    Returns:
        Key to the rising images and their levels.
    """
    sign = 1 if lowest else -1
    order = np.lexsort((sign * level, image, key))
    key, image, level = key[order], image[order], level[order]
    first = np.ones(len(key), bool)
    first[1:] = (np.diff(key) != 0) | (np.diff(image) != 0)
    key, image, level = key[first], image[first], level[first]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    ends = [*starts[1:], len(key)]
    return {int(key[a]): (image[a:b], level[a:b]) for a, b in zip(starts, ends)}


def packed(image: np.ndarray, level: np.ndarray) -> str:
    """Rising images (from 0) with levels of 0 to 255 as text."""
    out = bytearray()
    for step, value in zip(np.diff(image, prepend=0).tolist(), level.tolist()):
        while step > 127:
            out.append(step & 127 | 128)
            step >>= 7
        out += bytes((step, value))
    return base64.b64encode(out).decode()
