"""The one reader of label maps: every way to store class ids, and what is refused by file and value."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmroad.files.label_maps import check_ids, read_label_map

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def gray_png(values, bits):
    """A gray PNG of any depth, written by hand: Pillow writes 8 and 16 bits only."""
    width = -(-len(values[0]) * bits // 8)  # bytes of a row
    rows = (''.join(f'{v:0{bits}b}' for v in row).ljust(8 * width, '0') for row in values)
    raw = b''.join(b'\0' + int(row, 2).to_bytes(width, 'big') for row in rows)

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', len(values[0]), len(values), bits, 0, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(raw)) + chunk(b'IEND', b'')
    )


def palette(labels):
    image = Image.fromarray(labels)
    image = Image.frombytes('P', image.size, labels.tobytes())
    image.putpalette([(7 * i) % 256 for i in range(768)])
    return image


SAME = {
    '8 bits': lambda x: Image.fromarray(x),
    '16 bits': lambda x: Image.fromarray(x.astype(np.uint16)),
    'palette': palette,
    'gray as RGB': lambda x: Image.fromarray(np.stack([x] * 3, -1)),
    'gray as RGBA': lambda x: Image.fromarray(np.dstack([x, x, x, np.full_like(x, 255)])),
    'with opacity': lambda x: Image.fromarray(np.dstack([x, np.full_like(x, 9)]), 'LA'),
}


@pytest.mark.parametrize('kind', SAME)
def test_values_are_the_files(kind, tmp_path):
    SAME[kind](LABELS).save(tmp_path / 'a.png')
    got = read_label_map(tmp_path / 'a.png', size=(3, 4), num_classes=12)
    assert got.dtype == np.uint8 and np.array_equal(got, LABELS) and got.flags.writeable


@pytest.mark.parametrize('bits', [1, 2, 4, 8, 16])
def test_gray_values_of_every_depth_are_as_stored(bits, tmp_path):
    values = np.random.default_rng(bits).integers(0, min(2**bits, 256), (5, 7))
    (tmp_path / 'a.png').write_bytes(gray_png(values.tolist(), bits))
    assert np.array_equal(read_label_map(tmp_path / 'a.png'), values)


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_indices_of_every_depth_are_as_stored(bits, tmp_path):
    values = np.random.default_rng(bits).integers(0, 2**bits, (5, 7)).astype(np.uint8)
    palette(values).save(tmp_path / 'a.png', bits=bits)
    assert np.array_equal(read_label_map(tmp_path / 'a.png'), values)


@pytest.mark.parametrize('suffix', ['.tif', '.bmp', '.gif', '.pgm'])
def test_other_formats_without_loss(suffix, tmp_path):
    Image.fromarray(LABELS).save(tmp_path / f'a{suffix}')
    assert np.array_equal(read_label_map(tmp_path / f'a{suffix}'), LABELS)


def test_large_values_keep_their_type(tmp_path):
    Image.fromarray(np.array([[0, 40000]], np.uint16)).save(tmp_path / 'a.png')
    Image.fromarray(np.array([[-1, 100000]], np.int32)).save(tmp_path / 'a.tif')
    assert read_label_map(tmp_path / 'a.png').tolist() == [[0, 40000]]
    assert read_label_map(str(tmp_path / 'a.tif')).tolist() == [[-1, 100000]]
    with pytest.raises(ValueError, match=r'a\.tif: values -1, 100000 \(2 of 2 pixels\) are no class'):
        read_label_map(tmp_path / 'a.tif', num_classes=19)


def test_ids_above_the_classes_are_named_and_ignored_ones_pass(tmp_path):
    labels = np.array([[0, 18, 19, 33, 33, 254, 255]], np.uint8)
    Image.fromarray(labels).save(tmp_path / 'a.png')
    message = (
        r'a\.png: values 19, 33, 254 \(4 of 7 pixels\) are no class; expected 0 to 18 or 255 \(ignored\)'
    )
    with pytest.raises(ValueError, match=message):
        read_label_map(tmp_path / 'a.png', num_classes=19)
    with pytest.raises(ValueError, match=r'values 254, 255 .* expected 0 to 33\.'):
        read_label_map(tmp_path / 'a.png', num_classes=34, ignored=())
    assert np.array_equal(read_label_map(tmp_path / 'a.png', num_classes=34, ignored=(254, 255)), labels)
    assert np.array_equal(read_label_map(tmp_path / 'a.png'), labels)
    with pytest.raises(ValueError, match=r'x: values 0, 1, 2, 3, 4, 5, 6, 7, \.\.\. \(up to 11\) \(12 of 12'):
        check_ids(LABELS, 0, (), 'x')
    with pytest.raises(ValueError, match=r'x: values -2, -1 .2 of 4 pixels. are no class'):
        check_ids(np.int32([[-1, 0, -2, 1]]), 2, (), 'x')
    check_ids(np.int32([[-1, 0, -1, 1]]), 2, (-1,), 'x')


def jpeg(labels):
    Image.fromarray(labels).save(buffer := io.BytesIO(), 'JPEG')
    return buffer.getvalue()


def png(array, mode=None):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array, mode)
    image.save(buffer := io.BytesIO(), 'TIFF' if image.mode == 'F' else 'PNG')
    return buffer.getvalue()


COLOR = np.dstack([LABELS, LABELS, LABELS])
COLOR[2, 1] = 128, 64, 128  # the first that is told
COLOR[2, 3] = 9, 8, 7
REFUSED = {
    'colors': (png(COLOR), r'a color image, such as \(128, 64, 128\) in row 2, column 1'),
    'opacity': (png(np.dstack([COLOR[..., 0]] * 3 + [LABELS])), 'its opacity varies'),
    'other size': (png(LABELS.T.copy()), r'has 4 x 3 pixels \(height x width\), its image 3 x 4'),
    'other size, color': (png(COLOR[:2]), '2 x 4 pixels'),
    'JPEG': (jpeg(LABELS), 'JPEG changes values'),
    'floats': (png(LABELS.astype(np.float32)), "Pillow's mode F"),
    'several': (None, '2 pictures in one file'),
    'empty': (b'', 'not a label map that can be read'),
    'text': (b'<html>', 'not a label map that can be read'),
    'cut': (png(LABELS)[:50], 'not a label map that can be read'),
    'claims to be huge': (
        png(LABELS).replace(struct.pack('>II', 4, 3), struct.pack('>II', 40000, 40000)),
        '',
    ),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_what_is_no_label_map_is_refused_by_name(kind, tmp_path):
    content, message = REFUSED[kind]
    path = tmp_path / 'street.png'
    if content is None:
        first, second = Image.fromarray(LABELS), Image.fromarray(LABELS + 1)
        first.save(path, 'TIFF', save_all=True, append_images=[second])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'street\.png: .*{message}'):
        read_label_map(path, size=(3, 4))
    if content is not None:
        with pytest.raises(ValueError, match=rf'elsewhere\.png: .*{message}'):
            read_label_map('elsewhere.png', size=(3, 4), content=content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'b\.png: no such label map'):
        read_label_map(tmp_path / 'b.png')
    with pytest.raises(FileNotFoundError, match='no such label map'):
        read_label_map(tmp_path)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_damaged_files_are_read_or_named(tmp_path):
    """Bytes changed, cut, doubled: whatever Pillow raises of them ends with the file's name."""
    rng, path, refused = np.random.default_rng(0), tmp_path / 'street.png', 0
    sources = [png(SAME[kind](LABELS.repeat(4, 0))) for kind in SAME] + [jpeg(LABELS)]
    Image.fromarray(LABELS).save(buffer := io.BytesIO(), 'TIFF')
    sources.append(buffer.getvalue())
    for number in range(200):
        data = bytearray(sources[number % len(sources)])
        for _ in range(rng.integers(1, 5)):
            place, kind = int(rng.integers(len(data))), rng.integers(4)
            if kind == 0:
                data[place] = int(rng.integers(256))
            elif kind == 1:
                del data[place : place + int(rng.integers(1, 9))]
            elif kind == 2:
                data[place:place] = data[: int(rng.integers(1, 9))]
            else:
                data[place : place + 4] = rng.bytes(4)
        path.write_bytes(data)
        try:
            assert read_label_map(path, num_classes=20).ndim == 2
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f'{path}: ')
    assert 50 < refused < 200
