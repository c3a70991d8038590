"""Images of files and of callers: what is read and taken, and what is refused by name."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmroad.files import IMAGE_SUFFIXES, ImageError, as_bgr, is_image, read_image, write_image
from mmroad.files.images import image_size

RNG = np.random.default_rng(0)
BGR = RNG.integers(0, 255, (5, 7, 3), np.uint8)
GRAY = BGR[..., 0]


def claiming(size):
    """A PNG whose header claims a size and that holds nothing."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', *size, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_is_written_and_read(tmp_path, suffix):
    path = tmp_path / 'deep' / f'a{suffix}'
    image = np.full((8, 16, 3), 90, np.uint8)
    write_image(path, image)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert np.abs(read_image(path).astype(int) - image).max() <= 3
    assert is_image(path) and is_image(f'A{suffix.upper()}') and not is_image('a.txt')


def test_an_image_is_turned_as_its_exif_entry_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 9, 3), np.uint8)).save(tmp_path / 'a.jpg', exif=exif)
    assert image_size(tmp_path / 'a.jpg') == read_image(tmp_path / 'a.jpg').shape[1::-1] == (4, 9)
    Image.fromarray(np.zeros((4, 9, 3), np.uint8)).save(tmp_path / 'a.png', exif=exif)
    assert read_image(tmp_path / 'a.png').shape == cv2.imread(str(tmp_path / 'a.png')).shape == (9, 4, 3)
    with Image.open(tmp_path / 'a.png') as image:
        assert as_bgr(image).shape == (9, 4, 3)


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (b'', 'the file is empty'),
        (b'<html>', 'not an image'),
        (cv2.imencode('.png', BGR)[1].tobytes()[:40], 'not an image'),
        (cv2.imencode('.jpg', np.repeat(BGR, 99, 0))[1].tobytes()[:-90], 'cut'),  # imread gives a gray rest
        (claiming((40_000, 40_000)), 'not an image'),
        (claiming((3, 3)), 'not an image'),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, said):
    path = tmp_path / 'b.jpg'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'b\.jpg: .*{said}'):
        read_image(path)
    with pytest.raises(FileNotFoundError, match=r'c\.jpg: no such image'):
        read_image(tmp_path / 'c.jpg')
    with pytest.raises(FileNotFoundError, match='no such image'):
        read_image(tmp_path)


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    for name, image in {'a.xyz': BGR, 'b.jpg': np.zeros((1, 70_000, 3), np.uint8), 'c.png': BGR[:0]}.items():
        with pytest.raises(ImageError, match=name):
            write_image(tmp_path / name, image)
    (tmp_path / 'd').write_text('')
    with pytest.raises(OSError):
        write_image(tmp_path / 'd/e.png', BGR)
    assert [p.name for p in tmp_path.iterdir()] == ['d']


def test_two_processes_may_write_one_image(tmp_path):
    code = f"""
import numpy as np
from mmroad.files import write_image
for i in range(200):
    write_image({str(tmp_path / 'a.png')!r}, np.full((20, 30, 3), i, np.uint8))
"""
    running = [subprocess.Popen([sys.executable, '-c', code]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert read_image(tmp_path / 'a.png')[0, 0, 0] == 199 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize('gray', [GRAY, GRAY[..., None], Image.fromarray(GRAY)])
def test_gray_becomes_three_channels(gray):
    assert np.array_equal(as_bgr(gray), np.repeat(GRAY[..., None], 3, 2)) and as_bgr(gray).flags.c_contiguous


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P', 'L', 'LA', '1', 'CMYK'])
def test_pillow_images_are_taken(mode):
    image = Image.fromarray(np.ascontiguousarray(BGR[..., ::-1])).convert(mode)
    assert np.array_equal(as_bgr(image), np.asarray(image.convert('RGB'))[..., ::-1])


def test_arrays_stay_as_they_are():
    assert np.array_equal(as_bgr(BGR), BGR) and np.shares_memory(as_bgr(BGR), BGR)
    turned = as_bgr(BGR[:, ::-1])
    assert turned.flags.c_contiguous and np.array_equal(turned, BGR[:, ::-1])


@pytest.mark.parametrize(
    ('image', 'said'),
    [
        (BGR / 255, r'\(5, 7, 3\) of float64; expected uint8: multiply'),
        (BGR.astype(np.uint16), 'of uint16'),
        (BGR.astype(np.int64), 'of int64'),
        (BGR > 9, 'of bool'),
        (BGR.transpose(2, 0, 1), r'\(3, 5, 7\) .*channels are first'),
        (GRAY[None], r'\(1, 5, 7\) .*channels are first'),
        (np.dstack([BGR, GRAY]), r'\(5, 7, 4\) .*fourth channel'),
        (BGR[..., :2], r'\(5, 7, 2\)'),
        (BGR[None], 'one image at a time'),
        (BGR[:0], 'no pixel'),
        (GRAY[0], r'\(7,\)'),
        (np.array(['a.jpg'], object), 'of object'),
        ([BGR], 'list is no image'),
        (BGR.tolist(), 'list is no image'),
        (b'abc', 'bytes is no image'),
        (None, 'NoneType is no image'),
        (Image.fromarray(GRAY.astype(np.uint16)), 'mode I;16'),
        (Image.fromarray(GRAY.astype(np.float32)), 'mode F'),
    ],
)
def test_other_images_are_refused_by_type_and_shape(image, said):
    with pytest.raises(ValueError, match=f'street: .*{said}'):
        as_bgr(image, 'street')


def test_a_pillow_image_of_a_cut_file_is_named(tmp_path):
    Image.fromarray(np.repeat(BGR, 99, 0)).save(tmp_path / 'a.png')
    (tmp_path / 'a.png').write_bytes((tmp_path / 'a.png').read_bytes()[:-200])
    with Image.open(tmp_path / 'a.png') as image, pytest.raises(ImageError, match='street: not an image'):
        as_bgr(image, 'street')  # Pillow reads the pixels only now


def test_a_file_that_a_disk_does_not_give_is_named(tmp_path, monkeypatch):
    (tmp_path / 'a.png').write_bytes(b'x')
    for error, said in ((OSError(5, 'Input/output error'), 'Input/output error'), (OSError('odd'), 'odd')):

        def fail(path, error=error):
            raise error

        monkeypatch.setattr(Path, 'read_bytes', fail)
        with pytest.raises(ImageError, match=rf'a\.png: cannot be read: {said}$'):
            read_image(tmp_path / 'a.png')
