"""The sizes of images, from the labels, from the files, or as told."""

from __future__ import annotations

from pathlib import Path

from ..files.images import ImageError
from .form import LabelSet


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image as it is shown, from its header: turned as its EXIF entry says.

    Raises:
        FileNotFoundError: No such file.
        ImageError: Not an image.
    """
    from PIL import Image

    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such image')
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5
    except Exception as error:  # Pillow's decoders end in several ways
        raise ImageError(f'{path}: not an image whose size can be read: {error}') from error
    return (height, width) if turned else (width, height)


def need_sizes(labels: LabelSet, given: tuple[int, int] | None = None) -> None:
    """Fill in the sizes of all images.

    Args:
        labels: Changed in place.
        given: (width, height) of the images whose size is not known and that are not there.

    Raises:
        ValueError: A size is not known; names the first image and says what to do.
    """
    unknown = []
    for image in labels.images:
        if image.width and image.height:
            continue
        path = labels.path(image)
        if path is not None and path.is_file():
            image.width, image.height = image_size(path)
        elif given is not None:
            image.width, image.height = given
        else:
            unknown.append(image.name)
    if unknown:
        raise ValueError(
            f'{labels.source}: the size of {len(unknown)} images is not known, the first is {unknown[0]}: say where '
            'the images are (--images DIR), or their size (--image-size WIDTHxHEIGHT)'
        )
