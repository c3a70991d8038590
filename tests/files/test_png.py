"""A flipped bit of a PNG is never another label, whatever Pillow takes."""

import io

import numpy as np
import pytest
from PIL import Image

from mmroad.bdd100k.eval.masks import read_png
from mmroad.files.label_maps import read_label_map
from mmroad.files.png import open_image, write_png
from mmroad.mask2former.ade20k import read_segments

RNG = np.random.default_rng(0)


def bitmask(path):
    return read_png(path, 4)


def panoptic(path):
    return read_segments(path, None, [1, 2, 3])


MASKS = {
    'gray': (RNG.integers(0, 19, (12, 20)).astype(np.uint8).repeat(3, 0), read_label_map),
    'wide': (RNG.integers(0, 999, (12, 20)).astype(np.uint16).repeat(3, 0), read_label_map),
    'bitmask': (RNG.integers(0, 9, (9, 14, 4)).astype(np.uint8).repeat(3, 0), bitmask),
    'panoptic': (
        RNG.integers(1, 4, (12, 20, 1)).astype(np.uint8).repeat(3, 0) * np.uint8([1, 0, 0]),
        panoptic,
    ),
}


@pytest.mark.parametrize('name', MASKS)
def test_a_flipped_bit_is_refused_by_name_or_changes_nothing(name, tmp_path):
    pixels, read = MASKS[name]
    path = tmp_path / 'street.png'
    Image.fromarray(pixels).save(path)
    whole, want, silent = path.read_bytes(), read(path), 0
    for place in range(len(whole)):
        bit = 1 << int(RNG.integers(8))
        flipped = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
        try:
            silent += not np.array_equal(np.asarray(Image.open(io.BytesIO(flipped))), pixels)
        except Exception:
            pass
        path.write_bytes(flipped)
        try:
            got = read(path)
        except ValueError as error:
            assert str(path) in str(error)
            continue
        assert np.array_equal(got, want)
    assert silent or name == 'panoptic'  # what Pillow takes


def test_files_of_several_pieces_and_other_formats_are_read(tmp_path):
    pixels = MASKS['gray'][0]
    for name in ('a.png', 'a.tiff', 'a.bmp'):
        Image.fromarray(pixels).save(tmp_path / name)
        assert np.array_equal(open_image(tmp_path / name), pixels)
    large = RNG.integers(0, 255, (600, 800)).astype(np.uint8)  # Pillow writes 64 KiB a chunk
    Image.fromarray(large).save(buffer := io.BytesIO(), 'PNG')
    assert buffer.getvalue().count(b'IDAT') > 1
    assert np.array_equal(open_image('b.png', buffer.getvalue()), large)


@pytest.mark.parametrize('shape, dtype', [((5, 7), np.uint8), ((5, 7), np.uint16), ((5, 7, 3), np.uint8)])
def test_values_are_written_as_they_are(shape, dtype, tmp_path):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    write_png(tmp_path / 'new/mask', values)  # under whatever name
    with open_image(tmp_path / 'new/mask') as image:
        assert image.format == 'PNG' and (np.asarray(image) == values).all()
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['mask']
