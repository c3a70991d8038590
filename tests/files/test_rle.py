"""Run-length codes beside pycocotools, whole and broken."""

import time

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmroad.files.rle import areas, checked_rle


def encoded(mask):
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return code['counts'].decode(), code['size']


def uncompressed(mask):
    flat = mask.ravel(order='F')
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    runs = np.diff(ends, prepend=0).tolist()
    return [0, *runs] if flat[0] else runs


@pytest.mark.parametrize('density', [0, 0.001, 0.03, 0.5, 0.99, 1])
def test_codes_of_pycocotools_stay_as_they_are(density):
    rng = np.random.default_rng(0)
    for size in ((1, 1), (1, 40), (37, 1), (48, 80), (720, 1280)):
        mask = rng.random(size) < density
        counts, _ = encoded(mask)
        want = dict(size=list(size), counts=counts.encode())
        assert checked_rle(counts, size) == want
        assert checked_rle(counts.encode(), np.array(size)) == want
        assert checked_rle(uncompressed(mask), size) == want


def test_runs_of_no_pixels_are_joined():
    """pycocotools ends where two codes have such a run at one place, and then never ends with a third."""
    want = coco_mask.encode(np.asfortranarray([[1, 1, 0, 1, 0, 0]], dtype=np.uint8))
    for runs in ([0, 1, 0, 1, 1, 1, 2], [0, 0, 0, 2, 1, 1, 2, 0], [0, 2, 1, 1, 1, 0, 1]):
        assert checked_rle(runs, (1, 6)) == want
    broken = coco_mask.frPyObjects(dict(size=[1, 6], counts=[0, 2, 1, 1, 1, 0, 1]), 1, 6)
    assert checked_rle(broken['counts'], (1, 6)) == want != broken
    assert checked_rle([6, 0], (1, 6)) == coco_mask.encode(np.zeros((1, 6), np.uint8, order='F'))


@pytest.mark.parametrize(
    ('counts', 'size', 'message'),
    [
        ('j023000', (5, 10), 'fill .* pixels, its size of 5 x 10 .* has 50|a run of -'),
        ('', (5, 10), 'fill 0 pixels, its size of 5 x 10'),
        (b'', (5, 10), 'fill 0 pixels'),
        ([], (5, 10), 'fill 0 pixels'),
        ([20, 20], (5, 10), 'fill 40 pixels'),
        ([20, 31], (5, 10), 'fill 51 pixels'),
        ([60, -10], (5, 10), 'a run of -10 pixels'),
        ([20.0, 30.0], (5, 10), 'whole numbers'),
        ([2**40], (5, 10), 'whole numbers'),
        (['20', '30'], (5, 10), 'whole numbers'),
        ([20, '30'], (5, 10), 'whole numbers'),
        ([20, None], (5, 10), 'whole numbers'),
        ([20, [30]], (5, 10), 'whole numbers'),
        ([[20, 30]], (5, 10), 'whole numbers'),
        ([2**70, 50], (5, 10), 'whole numbers'),
        ([2**63, 50], (5, 10), 'whole numbers'),
        ([-(2**63), 50], (5, 10), 'a run of -'),
        (20, (5, 10), 'whole numbers'),
        ([True, False], (1, 1), 'whole numbers'),
        (dict(a=1), (5, 10), 'whole numbers'),
        ('b1\n', (5, 10), 'characters'),
        ('é', (5, 10), 'characters'),
        ('p1', (5, 10), 'characters'),
        ('b1b1ooooooooooooo1', (5, 10), 'more pixels than a mask'),
        ('o', (5, 10), 'cut'),
        ('1', (0, 10), 'size is'),
        ('1', (5, -10), 'size is'),
        ('1', (5,), 'size is'),
        ('1', (5.0, 10), 'size is'),
        ('1', (10**6, 10**6), 'size is'),
    ],
)
def test_broken_codes_are_refused(counts, size, message):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        checked_rle(counts, size)
    assert time.perf_counter() - start < 0.5


def test_damaged_codes_are_refused_or_fill_their_size():
    rng = np.random.default_rng(1)
    mask = np.kron(rng.random((6, 9)) < 0.4, np.ones((8, 9), int))
    counts, size = encoded(mask)
    accepted = 0
    for _ in range(500):
        code = bytearray(counts.encode())
        for _ in range(rng.integers(1, 4)):
            code[rng.integers(len(code))] = rng.integers(48, 112)
        try:
            rle = checked_rle(bytes(code), size)
        except ValueError:
            continue
        accepted += 1
        assert coco_mask.decode(rle).shape == mask.shape
    assert accepted < 250


def test_the_largest_mask_is_what_pycocotools_can_count():
    largest = 2**31 - 1
    assert checked_rle([largest], (1, largest))['size'] == [1, largest]
    with pytest.raises(ValueError, match='size is'):
        checked_rle([2**31], (2, 2**30))


def test_areas_of_any_number_of_masks():
    code = checked_rle([3, 4, 5], (3, 4))
    assert areas([code] * 300).tolist() == [4] * 300 and areas([]).shape == (0,)
