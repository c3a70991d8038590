"""Label maps: images whose values are class ids."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from .png import open_image

#: Pillow's modes of one channel whose values are the file's.
_PLAIN = ('1', 'L', 'P', 'I;16', 'I;16L', 'I;16B', 'I;16N', 'I')
#: Pillow's modes of several channels, and how many of these are color; the one after them is opacity.
_COLOR = {'RGB': 3, 'RGBA': 3, 'LA': 1, 'PA': 1}
#: By what Pillow multiplies the values of gray PNGs of 2 and 4 bits.
_SPREAD = {'L;2': 85, 'L;4': 17}


def read_label_map(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    ignored: Collection[int] = (255,),
    content: bytes | None = None,
) -> np.ndarray:
    """Read a label map and check it.

    Values are those that the file holds: 0 and 1 of a 1-bit image, the indices of one with a palette, 8 and 16
    bits as they are. An image of several channels is read where all channels are equal.

    Args:
        path: The file.
        size: Height and width that it must have, those of its image.
        num_classes: Values must be 0 to ``num_classes`` - 1; None allows all.
        ignored: Further values that are allowed.
        content: The file's bytes, where they were fetched already.

    Returns:
        (H, W): uint8 where all values fit, else uint16 or int32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image that can be read, its channels differ, or it has another size or other values;
            the message names file and values.
    """
    labels = _narrow(read_one_channel(path, 'label map', size=size, content=content))
    if num_classes is not None:
        check_ids(labels, num_classes, ignored, path)
    return labels


def read_one_channel(
    path: str | Path, what: str, *, size: tuple[int, int] | None = None, content: bytes | None = None
) -> np.ndarray:
    """The values of an image of one channel as the file holds them, (H, W), read-only: see `read_label_map`.

    Args:
        what: What the image is, for messages: ``label map``.
    """
    path = Path(path)
    if content is None and not path.is_file():
        raise FileNotFoundError(f'{path}: no such {what}')
    try:
        with open_image(path, content) as image:
            _check_size(path, what, image.size[::-1], size)  # before anything is decoded
            _check_kind(path, what, image)
            tile = getattr(image, 'tile', None)
            spread = _SPREAD.get(tile[0][3], 1) if image.format == 'PNG' and tile else 1
            values = np.asarray(image)
    except _Refused:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        article = 'an' if what[0] in 'aeiou' else 'a'
        raise ValueError(f'{path}: not {article} {what} that can be read ({described(error)})') from error
    if values.ndim == 3:
        values = _one_channel(path, what, values, _COLOR[image.mode])
    return values // spread if spread > 1 else values


def check_ids(labels: np.ndarray, num_classes: int, ignored: Collection[int], name: object) -> None:
    """Refuse values that are no class.

    Args:
        labels: Integers of any shape.
        num_classes: Values must be 0 to ``num_classes`` - 1 ...
        ignored: ... or among these.
        name: Begins the message: the file.

    Raises:
        ValueError: There are others; names them.
    """
    outside = labels >= num_classes
    if labels.dtype.kind == 'i':
        outside |= labels < 0
    for value in ignored:
        outside &= labels != value
    if outside.any():
        found, counts = np.unique(labels[outside], return_counts=True)
        beside = f' or {", ".join(map(str, ignored))} (ignored)' if ignored else ''
        raise ValueError(
            f'{name}: values {_listed(found)} ({counts.sum()} of {labels.size} pixels) are no class; expected 0 to '
            f'{num_classes - 1}{beside}. Are these the labels of another data set, ids before a conversion '
            f'(Cityscapes: labelIds instead of labelTrainIds), or are there more classes?'
        )


class _Refused(ValueError):
    """An error of this module about a file that can be read."""


def _check_size(path: Path, what: str, found: tuple[int, int], size: tuple[int, int] | None) -> None:
    if size is not None and found != tuple(size):
        raise _Refused(
            f'{path}: the {what} has {found[0]} x {found[1]} pixels (height x width), its image '
            f'{size[0]} x {size[1]}'
        )


def _check_kind(path: Path, what: str, image: Image.Image) -> None:
    if image.mode not in _PLAIN and image.mode not in _COLOR:
        raise _Refused(f"{path}: an image of Pillow's mode {image.mode}, no {what}")
    if image.format in ('JPEG', 'MPO', 'JPEG2000'):
        raise _Refused(
            f'{path}: {image.format} changes values where they meet; {what}s must be stored without loss, such '
            f'as in PNG'
        )
    if (pictures := getattr(image, 'n_frames', 1)) > 1:
        raise _Refused(f'{path}: {pictures} pictures in one file, expected one {what}')


def _one_channel(path: Path, what: str, labels: np.ndarray, colors: int) -> np.ndarray:
    """The one channel that an image of several equal ones stands for."""
    first = labels[..., 0]
    for channel in range(1, labels.shape[2]):
        other = labels[..., channel]
        if channel >= colors:  # opacity: the same everywhere, whatever it is
            if (other != other.flat[0]).any():
                raise ValueError(f'{path}: its opacity varies; expected one channel')
        elif not np.array_equal(other, first):
            row, column = (int(x[0]) for x in np.nonzero(other != first))
            raise ValueError(
                f'{path}: a color image, such as {tuple(labels[row, column].tolist())} in row {row}, column '
                f'{column}; expected one channel'
            )
    return first


def _narrow(labels: np.ndarray) -> np.ndarray:
    """The smallest of uint8, uint16 and int32 that holds all values, writable."""
    if labels.dtype == bool:
        return labels.astype(np.uint8)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    fitting = [t for t in (np.uint8, np.uint16) if 0 <= low and high <= np.iinfo(t).max]
    return np.array(labels, fitting[0] if fitting else np.int32)


def _listed(values: np.ndarray) -> str:
    """The first few values as text."""
    shown = ', '.join(str(int(value)) for value in values[:8])
    return shown if len(values) <= 8 else f'{shown}, ... (up to {int(values[-1])})'


def described(error: Exception) -> str:
    """An exception as text, its type included."""
    return f'{type(error).__name__}: {error}' if str(error) else type(error).__name__
