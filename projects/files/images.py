"""Images from files and from callers: BGR uint8, or an error that names them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .replacing import write_bytes

if TYPE_CHECKING:
    import numpy as np

#: The suffixes of image files, in lower case.
IMAGE_SUFFIXES = (
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.bmp', '.tif', '.tiff', '.ppm', '.pgm',
)  # fmt: skip


#: EXIF's entry of the orientation, and its values of images that lie on their side.
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)


class ImageError(ValueError):
    """One image, picture or video cannot be used; a run goes on with the others."""


def is_image(path: str | Path) -> bool:
    """Whether a path has an image's suffix, in upper or lower case."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def read_image(path: str | Path) -> np.ndarray:
    """An image file as BGR uint8 (H, W, 3), turned as its EXIF entry says, as ``cv2.imread`` gives it.

    Raises:
        FileNotFoundError: No such file; names it.
        ImageError: Not a whole image that can be read; names it. It is a `ValueError`.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    try:
        return decode_image(Path(path).read_bytes(), path)
    except OSError as error:
        raise ImageError(f'{path}: cannot be read: {error.strerror or error}') from error


def image_size(file: str | Path | BinaryIO) -> tuple[int, int]:
    """Width and height of an image from its header; of a JPEG as it is shown (turned as its EXIF entry says).

    Raises:
        FileNotFoundError: No such file.
        ImageError: Not an image; names it.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            width, height = image.size
            # other formats would be decoded to find the entry
            turned = image.format in ('JPEG', 'MPO') and image.getexif().get(_ORIENTATION) in _SIDEWAYS
            return (height, width) if turned else (width, height)
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow's decoders end in several ways, some without the path
        name = file if isinstance(file, (str, os.PathLike)) else 'image'
        raise ImageError(f'{name}: not an image whose size can be read: {error}') from error


def decode_image(data: bytes, path: str | Path) -> np.ndarray:
    """The content of an image file as `read_image` gives it; ``path`` is for the error's text.

    ``cv2.imread`` would give a file that was cut as an image with a gray rest.
    """
    import cv2

    from .decode import decode_bgr

    if not data:
        raise ImageError(f'{path}: the file is empty, no image')
    try:
        image = decode_bgr(data)
    except (cv2.error, MemoryError) as error:
        reason = ' '.join(str(error).split())
        raise ImageError(f'{path}: not an image that can be read ({reason[-200:]})') from error
    if image is None:
        raise ImageError(f'{path}: not an image that can be read: damaged, cut, or of another format')
    return image


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image (H, W) or (H, W, 3) BGR uint8 by `replacing`; the suffix says the format.

    Raises:
        ImageError: The format cannot hold it, or OpenCV does not write this format.
        OSError: The file cannot be written.
    """
    import cv2

    suffix = os.path.splitext(path)[1].lower()
    encoder = {'.jfif': '.jpg', '.pgm': '.ppm' if image.ndim == 3 else '.pgm'}.get(suffix, suffix)
    try:
        done, data = cv2.imencode(encoder, image)
    except cv2.error:
        done = False
    if not done:
        raise ImageError(f'{path}: an image {image.shape} of {image.dtype} cannot be written as "{suffix}"')
    write_bytes(path, data.data)


def as_bgr(image: Any, name: str = '') -> np.ndarray:
    """An image that a caller hands over as BGR uint8 (H, W, 3).

    Args:
        image: An array of uint8, BGR (H, W, 3) or gray (H, W) or (H, W, 1), which becomes three equal channels;
            or a Pillow image of 8 bits a channel, turned as its EXIF entry says; transparency is dropped.
        name: For the error's text.

    Raises:
        ImageError: Anything else; names its type and shape. Values are never scaled or cut by guessing.
    """
    import numpy as np

    title = name or 'image'
    if type(image).__module__.partition('.')[0] == 'PIL' or hasattr(image, 'getbands'):
        return _from_pillow(image, title)
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f'{title}: {type(image).__name__} is no image; give a path, an array of uint8 (H, W, 3) BGR or a '
            f'Pillow image, one at a time'
        )
    image = np.asarray(image)
    what = f'{title}: an array {image.shape} of {image.dtype}'
    if image.dtype != np.uint8:
        hint = {
            'f': 'multiply values in [0, 1] by 255, round them and use .astype(np.uint8)',
            'b': 'use .astype(np.uint8) * 255',
        }.get(image.dtype.kind, 'scale the values to 0..255 and use .astype(np.uint8)')
        raise ImageError(f'{what}; expected uint8: {hint}')
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        hint = ''
        if image.ndim == 3 and image.shape[2] == 4:
            hint = ': leave the fourth channel out, image[..., :3] if it is BGRA'
        elif image.ndim == 3 and image.shape[0] in (1, 3):
            hint = ': the channels are first, use image.transpose(1, 2, 0)'
        elif image.ndim == 4:
            hint = ': give one image at a time'
        raise ImageError(f'{what}; expected (H, W, 3) BGR or gray (H, W){hint}')
    if not image.size:
        raise ImageError(f'{what}; it has no pixel')
    return np.ascontiguousarray(image) if image.shape[2] == 3 else np.repeat(image, 3, 2)


def _from_pillow(image: Any, title: str) -> np.ndarray:
    import numpy as np
    from PIL import ImageOps

    if image.mode in ('I', 'F') or image.mode.startswith('I;'):
        raise ImageError(
            f'{title}: a Pillow image of mode {image.mode}, {image.height} x {image.width}; expected 8 bits a '
            f'channel: scale the values to 0..255 and use .convert("RGB")'
        )
    if not image.width or not image.height:
        raise ImageError(f'{title}: a Pillow image without a pixel')
    try:
        return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert('RGB'))[..., ::-1])
    except (OSError, SyntaxError) as error:  # Pillow reads a file when its pixels are asked for
        raise ImageError(f'{title}: not an image that can be read ({error})') from error
