"""COCO's run-length codes from files, checked before pycocotools' C code sees them.

pycocotools trusts a code: one whose runs do not add up to its mask is read or written out of bounds, or
compared without an end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

#: pycocotools counts pixels in 32 bits.
_LARGEST = 2**31 - 1


def checked_rle(counts: str | bytes | Sequence[int], size: Sequence[int]) -> dict:
    """A run-length code in the form that pycocotools takes: ``dict(counts=bytes, size=[height, width])``.

    Args:
        counts: Runs of background and mask in turn down the columns, compressed (text) or as a list.
        size: Height and width of the mask in pixels.

    Raises:
        ValueError: Saying what is wrong: the size, or runs that do not fill it. The caller adds the file, the
            frame and the label.
    """
    whole = len(size) == 2 and all(isinstance(side, (int, np.integer)) and side > 0 for side in size)
    if not whole or int(size[0]) * int(size[1]) > _LARGEST:
        raise ValueError(f'size is {list(size)}; expected height and width of the mask in pixels')
    height, width = (int(side) for side in size)
    runs = _decompressed(counts) if isinstance(counts, (str, bytes)) else _listed(counts)
    if len(runs) and runs.min() < 0:
        raise ValueError(f'counts hold a run of {runs.min()} pixels; this is no run-length code of COCO')
    if runs.sum() != height * width:
        raise ValueError(
            f'the runs of counts fill {runs.sum()} pixels, its size of {height} x {width} (height, width) has '
            f'{height * width}'
        )
    if isinstance(counts, (str, bytes)) and runs[1:].all():
        return dict(size=[height, width], counts=counts.encode() if isinstance(counts, str) else counts)
    return coco_mask.frPyObjects(dict(size=[height, width], counts=_joined(runs)), height, width)


def _listed(counts: Sequence[int]) -> np.ndarray:
    try:
        runs = np.array(counts) if len(counts) else np.zeros(0, np.int64)
    except (ValueError, OverflowError, TypeError):  # lists in the list, numbers without end
        runs = np.zeros(0)
    if runs.ndim != 1 or runs.dtype.kind not in 'iu' or np.abs(runs).max(initial=0) > _LARGEST:
        raise ValueError('counts hold something else than whole numbers of pixels')
    return runs.astype(np.int64)


def _decompressed(counts: str | bytes) -> np.ndarray:
    """(n,) runs of a compressed code: each five bits a character, the lowest first; bit 6 says that more
    follow, the last one's bit 5 is the sign; from the fourth on a run is told by its difference to the last
    but one."""
    try:
        text = counts.encode('ascii') if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise ValueError('counts hold characters that no run-length code of COCO has') from None
    code = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(code) and (code.min() < 0 or code.max() > 63):
        raise ValueError('counts hold characters that no run-length code of COCO has')
    if len(code) and code[-1] & 32:
        raise ValueError('counts end inside a run: the text was cut')
    last = np.flatnonzero(code & 32 == 0)
    first = np.append(0, last[:-1] + 1)[: len(last)]
    place = np.arange(len(code)) - np.repeat(first, last - first + 1)
    if len(place) and place.max() > 6:
        raise ValueError('counts hold a run of more pixels than a mask can have')
    runs = np.add.reduceat((code & 31) << 5 * place, first) if len(code) else code
    runs -= (code[last] >> 4 & 1) << 5 * (place[last] + 1)
    for start in (1, 2):
        runs[start::2] = np.cumsum(runs[start::2])
    return runs


def _joined(runs: np.ndarray) -> list[int]:
    """Runs without those of no pixels (the first may be one), of which pycocotools makes ends of masks."""
    value = np.arange(len(runs)) & 1
    value, runs = value[runs > 0], runs[runs > 0]
    first = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    joined = np.add.reduceat(runs, first).tolist()
    return [0, *joined] if value[0] else joined


def areas(rles: Sequence[dict]) -> np.ndarray:
    """(n,) pixels of masks; pycocotools' own ``area`` fails on 256 and more at once."""
    return np.array([coco_mask.area(rle) for rle in rles], np.int64)
