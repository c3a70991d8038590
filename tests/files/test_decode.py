"""Our decoder gives what OpenCV's does, bit by bit, whichever of the two libraries it takes."""

import io
import itertools

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

import mmroad.files.decode as decode
import mmroad.files.loading  # noqa: F401  gives mmcv our decoder
from mmroad.files import ImageError, read_image
from mmroad.files.decode import decode_bgr, is_plain_jpeg

SAMPLING = (0x411111, 0x420000, 0x221111, 0x211111, 0x121111, 0x111111)


def photograph(height, width, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return (image + rng.normal(size=image.shape) * 8).clip(0, 255).astype(np.uint8)


def jpeg(image, quality=90, sampling=0x221111, progressive=0, restart=0):
    values = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    more = (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart)
    return cv2.imencode('.jpg', image, [*values, *more])[1].tobytes()


def by_pillow(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize('sampling', SAMPLING)
def test_plain_jpegs_are_bitwise_opencvs(sampling, monkeypatch):
    taken = []
    monkeypatch.setattr(decode, 'is_plain_jpeg', lambda data: taken.append(is_plain_jpeg(data)) or taken[-1])
    sizes = ((1, 1), (1, 9), (17, 2), (31, 50), (64, 48))
    for size, quality, progressive, restart in itertools.product(sizes, (30, 95, 100), (0, 1), (0, 3)):
        data = jpeg(photograph(*size), quality, sampling, progressive, restart)
        got = decode_bgr(data)
        assert np.array_equal(got, opencv(data)) and got.dtype == np.uint8
        assert got.flags.writeable and got.flags.c_contiguous
    assert all(taken)


RGB = Image.fromarray(photograph(21, 34))
OTHERS = {
    'gray': by_pillow(RGB.convert('L'), 'JPEG'),
    'CMYK': by_pillow(RGB.convert('CMYK'), 'JPEG'),
    'RGB': by_pillow(RGB, 'JPEG', keep_rgb=True),
    **{f'turned {k}': by_pillow(RGB, 'JPEG', exif=turned(k)) for k in range(1, 9)},
    'PNG': by_pillow(RGB, 'PNG'),
    'PNG with transparency': by_pillow(RGB.convert('RGBA'), 'PNG'),
    'WebP': by_pillow(RGB, 'WEBP'),
    'BMP': by_pillow(RGB, 'BMP'),
    'TIFF': by_pillow(RGB, 'TIFF'),
}
PLAIN = {
    'comment': by_pillow(RGB, 'JPEG', comment=b'a street'),
    'color profile': by_pillow(RGB, 'JPEG', icc_profile=bytes(999)),
    'trailing bytes': jpeg(photograph(20, 30)) + b'more',
    'without JFIF': by_pillow(RGB, 'JPEG').replace(b'\xff\xe0\x00\x10JFIF', b'\xff\xe9\x00\x10none'),
}


@pytest.mark.parametrize('kind', [*OTHERS, *PLAIN])
def test_other_kinds_are_bitwise_opencvs(kind, tmp_path):
    data = {**OTHERS, **PLAIN}[kind]
    assert is_plain_jpeg(data) == (kind in PLAIN)
    want = opencv(data)
    assert want is not None and np.array_equal(decode_bgr(data), want)
    (tmp_path / 'a.jpg').write_bytes(data)
    assert np.array_equal(read_image(tmp_path / 'a.jpg'), want)
    assert np.array_equal(cv2.imread(str(tmp_path / 'a.jpg')), want)
    turned_sideways = kind.startswith('turned') and int(kind[-1]) > 4
    assert want.shape == ((34, 21, 3) if turned_sideways else (20, 30, 3) if 'bytes' in kind else (21, 34, 3))


def test_an_orientation_is_never_passed_over():
    """Also behind marks without a size, which a decoder steps over."""
    data = OTHERS['turned 6']
    assert decode_bgr(data[:2] + b'\xff\xd0' + data[2:]).shape == (34, 21, 3)
    assert decode_bgr(data[:2] + b'\xff' + data[2:]).shape == (34, 21, 3)


def test_damaged_files_end_as_opencv_ends_them(capfd):
    rng, whole, fast = np.random.default_rng(0), 0, 0
    for seed, sampling in enumerate(SAMPLING):
        data = jpeg(photograph(19, 26, seed), 80, sampling, seed % 2)
        for number in range(120):
            at = int(rng.integers(2, len(data)))
            noise = rng.integers(0, 256, 3, np.uint8).tobytes()
            changed = [data[:at], data[:at] + noise + data[at + 3 :], data[:at] + noise + data[at:]][
                number % 3
            ]
            try:
                want = opencv(changed)
            except cv2.error:
                with pytest.raises(cv2.error):
                    decode_bgr(changed)
                continue
            got = decode_bgr(changed)
            assert (got is None) == (want is None)
            assert want is None or np.array_equal(got, want)
            whole, fast = whole + (want is not None), fast + is_plain_jpeg(changed)
    assert whole > 100 and fast > 300


@pytest.mark.parametrize(
    'data', [b'', b'\xff\xd8', b'\xff\xd8\xff\xe0', b'<html>', jpeg(photograph(9, 9))[:-40]]
)
def test_what_is_no_image_stays_an_error(data, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(data)
    with pytest.raises(ImageError, match=r'a\.jpg'):
        read_image(tmp_path / 'a.jpg')


def test_huge_sizes_are_opencvs_to_refuse():
    data = bytearray(jpeg(photograph(9, 9)))
    frame = data.index(b'\xff\xc0')
    data[frame + 5 : frame + 9] = b'\xff\xdc\xff\xdc'
    assert not is_plain_jpeg(bytes(data))


def test_every_loader_of_mmcv_decodes_with_it(monkeypatch):
    data, seen = jpeg(photograph(12, 15)), []
    monkeypatch.setattr('mmroad.files.loading.decode_bgr', lambda content: seen.append(content) or 'ours')
    assert mmcv.imfrombytes(data) == mmcv.imfrombytes(data, 'color', backend='cv2') == 'ours'
    assert len(seen) == 2
    others = (
        dict(flag='grayscale'),
        dict(flag='unchanged'),
        dict(channel_order='rgb'),
        dict(backend='pillow'),
    )
    for options in others:
        assert mmcv.imfrombytes(data, **options).shape[:2] == (12, 15)
    assert len(seen) == 2


def test_without_simplejpeg_the_images_are_the_same(monkeypatch):
    data = jpeg(photograph(12, 15))
    want = decode_bgr(data)
    monkeypatch.setattr(decode, 'simplejpeg', None)
    assert np.array_equal(decode_bgr(data), want)


def test_plain_jpegs_are_read_by_simplejpeg(monkeypatch):
    pytest.importorskip('simplejpeg')
    monkeypatch.setattr(decode.simplejpeg, 'decode_jpeg', lambda data, colorspace: (len(data), colorspace))
    data = jpeg(photograph(12, 15))
    assert decode_bgr(data) == (len(data), 'BGR')


def block(marker: int, content: bytes = b'', size: int | None = None) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2 if size is None else size).to_bytes(2, 'big') + content


def frame(
    marker: int = 0xC0, depth: int = 8, height: int = 300, width: int = 513, channels: int = 3
) -> bytes:
    size = height.to_bytes(2, 'big') + width.to_bytes(2, 'big')
    return block(marker, bytes([depth]) + size + bytes([channels]) + bytes(3 * channels))


SCAN = block(0xDA)
START = b'\xff\xd8'
HEADERS = {
    'baseline': (START + frame() + SCAN, True),
    'progressive': (START + frame(0xC2) + SCAN, True),
    'tables and comments before': (START + block(0xDB, bytes(65)) + block(0xC4, b'x') + frame() + SCAN, True),
    'JFIF before, tables after': (START + block(0xE0, b'JFIF') + frame() + block(0xDB, b'x') + SCAN, True),
    'the first block without a size': (START + block(0xC0 - 1) + frame() + SCAN, False),
    'a restart': (START + block(0xD0) + frame() + SCAN, False),
    'the end': (START + block(0xD9) + frame() + SCAN, False),
    'a fill byte': (START + b'\xff' + frame() + SCAN, False),
    'Adobe': (START + block(0xEE, b'Adobe') + frame() + SCAN, False),
    'EXIF': (START + block(0xE1, b'Exif') + frame() + SCAN, False),
    'EXIF after the size': (START + frame() + block(0xE1, b'Exif') + SCAN, False),
    'extended': (START + frame(0xC1) + SCAN, False),
    '12 bits': (START + frame(depth=12) + SCAN, False),
    'gray': (START + frame(channels=1) + SCAN, False),
    'four channels': (START + frame(channels=4) + SCAN, False),
    'no height': (START + frame(height=0) + SCAN, False),
    'no width': (START + frame(width=0) + SCAN, False),
    'one pixel': (START + frame(height=1, width=1) + SCAN, True),
    'as large as may be': (START + frame(height=1 << 14, width=1 << 14) + SCAN, True),
    'larger': (START + frame(height=1 << 14, width=(1 << 14) + 1) + SCAN, False),
    'two sizes': (START + frame() + frame() + SCAN, False),
    'no size': (START + SCAN, False),
    'no scan': (START + frame(), False),
    'a cut scan': (START + frame() + SCAN[:3], False),
    'a block of no bytes': (START + block(0xE0, size=1) + frame() + SCAN, False),
    'no block': (START + frame() + b'\x00' + SCAN, False),
    'PNG': (b'\x89PNG' + frame() + SCAN, False),
    'nothing': (b'', False),
}  # fmt: skip


@pytest.mark.parametrize('kind', HEADERS)
def test_headers_of_plain_jpegs(kind):
    data, plain = HEADERS[kind]
    assert is_plain_jpeg(data) is plain
