"""Images whose exact values count: opened by Pillow, once the checksums of a PNG file are right."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from .replacing import replacing

_SIGNATURE = b'\x89PNG\r\n\x1a\n'


def open_image(path: str | Path, content: bytes | None = None) -> Image.Image:
    """Open an image, once the pixels of a PNG have the checksums in the file (CRC-32 of each chunk, PNG 3, 5.3).

    Pillow does not look at those of ``IDAT``: one flipped bit in some hundred gives other pixels without an
    error.

    Args:
        path: The file.
        content: Its bytes, where they were fetched already.

    Raises:
        ValueError: A checksum is not that of the content.
        Exception: Whatever Pillow raises of a file that is no image.
    """
    content = Path(path).read_bytes() if content is None else content
    place = len(_SIGNATURE)
    while content.startswith(_SIGNATURE) and place < len(content):
        size, kind = struct.unpack('>I4s', content[place : place + 8].ljust(8, b'\0'))
        end = place + 8 + size
        if (
            kind == b'IDAT'
            and zlib.crc32(content[place + 4 : end]).to_bytes(4, 'big') != content[end : end + 4]
        ):
            raise ValueError(
                f'damaged: its pixels do not have the checksum in the file (IDAT at byte {place})'
            )
        place = end + 4
    return Image.open(io.BytesIO(content))


def write_png(path: str | Path, values: np.ndarray) -> None:
    """Write values as they are, as a PNG by `replacing`.

    Args:
        path: The file, under whatever name.
        values: uint8 or uint16 (H, W), or uint8 RGB (H, W, 3) or RGBA (H, W, 4).
    """
    with replacing(path) as part:
        Image.fromarray(values).save(part, format='PNG')
