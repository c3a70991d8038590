"""One decoder of images for the whole package: what ``cv2.imdecode`` gives, bit by bit, faster where
possible.

Plain JPEGs go to libjpeg-turbo directly (simplejpeg); all else, and what it complains about, goes to OpenCV, which
alone decides about errors, EXIF's orientation and rarer kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    import simplejpeg
except ImportError:  # no wheel for this Python or machine: the same images, later
    simplejpeg = None

#: Larger ones go to OpenCV, which refuses them from a size on.
MOST_PIXELS = 2**28
#: Markers without a size: none of them comes before the image in a plain file.
NOT_BLOCKS = {*range(0xC0), *range(0xD0, 0xDA), 0xFF}
BASELINE, PROGRESSIVE, SCAN, ADOBE, EXIF = 0xC0, 0xC2, 0xDA, 0xEE, 0xE1


def decode_bgr(data: bytes) -> NDArray[np.uint8] | None:
    """The content of an image file as BGR (H, W, 3), turned as its EXIF entry says; None for what is no whole image.

    Raises:
        cv2.error: OpenCV's, such as for a size that it refuses.
    """
    if simplejpeg is not None and is_plain_jpeg(data):
        try:
            return simplejpeg.decode_jpeg(data, 'BGR')
        except ValueError:  # its warnings are errors too; OpenCV says which are
            pass
    import cv2

    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def is_plain_jpeg(data: bytes) -> bool:
    """Whether this is a JPEG of three channels of 8 bits, baseline or progressive, without a block that may change
    how it is shown: EXIF's (orientation) or Adobe's (colors)."""
    at, plain = 2, False
    if data[:2] != b'\xff\xd8':
        return False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], 'big')
        if marker == SCAN:
            return plain
        if marker in (ADOBE, EXIF) or marker in NOT_BLOCKS or size < 2:
            return False
        if marker in (BASELINE, PROGRESSIVE):
            height, width = (int.from_bytes(data[at + k : at + k + 2], 'big') for k in (5, 7))
            if plain or data[at + 4 : at + 5] != b'\x08' or data[at + 9 : at + 10] != b'\x03':
                return False
            plain = 0 < height * width <= MOST_PIXELS
        at += 2 + size
    return False
