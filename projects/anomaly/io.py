"""Anomaly maps as files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ..files import replacing
from ..files.arrays import write_arrays
from ..files.label_maps import described, read_one_channel

KINDS = {'npz': '.npz', 'png': '.png', 'smiyc': '.hdf5'}
#: Suffixes of the files that are read as anomaly maps.
SUFFIXES = (*KINDS.values(), '.npy')


def check_kind(kind: str) -> None:
    """Refuse a kind of map that cannot be written.

    Raises:
        ValueError: There is no such kind.
        ImportError: It needs a library that is not installed.
    """
    if kind not in KINDS:
        raise ValueError(f'no kind of anomaly map is called {kind!r}; there are {", ".join(KINDS)}')
    if kind == 'smiyc':
        _h5py()


def _h5py():
    try:
        import h5py
    except ImportError as error:
        raise ImportError('the SMIYC form (HDF5) needs h5py: pip install h5py') from error
    return h5py


def save_map(path: str | Path, anomaly: np.ndarray, kind: str = 'npz') -> Path:
    """Write an anomaly map (H, W), whole or not at all.

    Args:
        path: Without suffix, which the kind gives.
        anomaly: Higher is more anomalous.
        kind: ``npz`` keeps the values (``anomaly``); ``png`` has 16 bits between the map's lowest and
            highest value, which its text says; ``smiyc`` is the benchmark's form, float16 in HDF5 (needs h5py).

    Raises:
        ValueError: No such kind, or values that it does not hold: NaN, and for ``png`` and ``smiyc`` infinite
            ones and those beyond float16.
    """
    check_kind(kind)
    path = Path(f'{path}{KINDS[kind]}')
    if np.isnan(anomaly).any():
        raise ValueError(
            f'{path}: the anomaly map holds values that are not numbers (NaN); nothing is written'
        )
    with np.errstate(over='ignore'):
        held = anomaly if kind == 'npz' else anomaly.astype(np.float64 if kind == 'png' else np.float16)
    if kind != 'npz' and not np.isfinite(held).all():
        raise ValueError(
            f'{path}: the anomaly map has values from {anomaly.min()} to {anomaly.max()}, which the kind {kind} '
            f'does not hold; write npz'
        )
    if kind == 'npz':
        write_arrays(path, compressed=True, anomaly=held)
        return path
    with replacing(path) as part:
        if kind == 'png':
            low, high = float(held.min()), float(held.max())
            scaled = (held.astype(np.float64) - low) / ((high - low) or 1.0) * 65535
            text = PngImagePlugin.PngInfo()
            text.add_text('low', repr(low))
            text.add_text('high', repr(high))
            Image.fromarray(scaled.round().astype(np.uint16)).save(part, pnginfo=text)
        else:
            buffer = io.BytesIO()  # on a full disk the HDF5 library crashes
            with _h5py().File(buffer, 'w') as file:
                file.create_dataset('value', data=held, compression='gzip')
            part.write_bytes(buffer.getvalue())
    return path


def load_map(path: str | Path) -> np.ndarray:
    """Read an anomaly map (H, W): what `save_map` wrote, ``.npy``, or a gray PNG of another tool, whose
    integers are the scores (as uint16).

    Axes of length 1 around the map are dropped; truth values become 0 and 1.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: HDF5 needs h5py.
        KeyError: A file of several arrays lacks the one wanted; names those that are there.
        ValueError: Not a map that can be read; names the file and why.
    """
    path = Path(path)
    readers = {'.npy': _load_npy, '.npz': _load_npz, '.png': _load_png, '.hdf5': _load_hdf5}
    if path.suffix not in readers:
        raise ValueError(f'{path}: an anomaly map is one of {", ".join(readers)}')
    return _checked(path, _read(path, 'anomaly map', readers[path.suffix]))


def _read(path: Path, what: str, reader: Callable[[Path], np.ndarray]) -> np.ndarray:
    """The array of a file; whatever ends the reading names the file."""
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such {what}')
    try:
        return reader(path)
    except (ImportError, KeyError):
        raise
    except Exception as error:  # damaged files make the readers raise nearly anything
        if str(error).startswith(f'{path}: '):
            raise
        article = 'an' if what[0] in 'aeiou' else 'a'
        raise ValueError(f'{path}: not {article} {what} that can be read ({described(error)})') from error


def _load_npy(path: Path) -> np.ndarray:
    with open(
        path, 'rb'
    ) as file:  # np.load would read an archive too, and for other files it advises to unpickle
        return np.lib.format.read_array(file, allow_pickle=False)


def _load_npz(path: Path, key: str = 'anomaly') -> np.ndarray:
    with (
        zipfile.ZipFile(path),
        np.load(path) as content,
    ):  # np.load advises to unpickle what is no zip archive
        return _named(path, content, key)


def _load_hdf5(path: Path) -> np.ndarray:
    with _h5py().File(path) as content:
        found = _named(path, content, 'value')
        if not hasattr(found, 'dtype'):
            raise KeyError(f'{path}: "value" is a group, with {", ".join(found) or "nothing in it"}')
        return found[()]


def _named(path: Path, content, key: str):
    """One array of a file that holds several."""
    if key not in content:
        raise KeyError(f'{path}: no array "{key}"; there are {", ".join(content) or "none"}')
    return content[key]


def _load_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        mode, info = image.mode, dict(image.info)
    if mode == 'P':
        raise ValueError(f'{path}: an image with a palette, whose indices are no scores')
    values = read_one_channel(path, 'anomaly map')
    if 'low' not in info and 'high' not in info:
        return values.astype(np.uint16) if values.dtype.itemsize <= 2 else values
    low, high = (float(info[key]) if key in info else np.nan for key in ('low', 'high'))
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f'{path}: its text gives {low} to {high} as range of the scores')
    return (values.astype(np.float64) / 65535 * (high - low) + low).astype(np.float32)


def _checked(path: Path, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in 'fiub':
        raise ValueError(
            f'{path}: values of type {values.dtype}, expected floating point numbers or integers'
        )
    shape = values.shape
    while values.ndim > 2 and 1 in values.shape:
        values = values.squeeze(values.shape.index(1))
    if values.ndim != 2 or not values.size:
        raise ValueError(f'{path}: an array of shape {shape}, expected an anomaly map (height, width)')
    if values.dtype.kind == 'b':
        return values.astype(np.uint8)
    return values.astype(values.dtype.newbyteorder('='), copy=False)


def save_probabilities(path: str | Path, probs: np.ndarray) -> None:
    """Write class probabilities (C, H, W) as float16, the array ``probs`` of a ``.npz`` file."""
    write_arrays(path, probs=probs.astype(np.float16))


def load_probabilities(path: str | Path) -> np.ndarray:
    """Read class probabilities (C, H, W) that `save_probabilities` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        KeyError: The file has no array ``probs``; names those that are there.
        ValueError: Not class probabilities that can be read; names the file and why.
    """
    path = Path(path)
    values = _read(path, 'file of class probabilities', lambda file: _load_npz(file, 'probs'))
    if values.ndim != 3 or values.dtype.kind != 'f' or not values.size:
        raise ValueError(
            f'{path}: an array {values.shape} of {values.dtype}, expected class probabilities (classes, height, width)'
        )
    return values


def map_names(folder: str | Path) -> list[str]:
    """Names, without suffix, of the images that have a map in a folder; hidden files are left out."""
    paths = (path for path in Path(folder).iterdir() if path.suffix in SUFFIXES)
    return sorted({path.stem for path in paths if not path.name.startswith('.')})


def find_map(folder: str | Path, stem: str) -> Path:
    """The map of an image in a folder.

    Raises:
        FileNotFoundError: There is none; names what was looked for.
        ValueError: There are several; names them.
    """
    paths = [Path(folder) / f'{stem}{suffix}' for suffix in SUFFIXES]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise FileNotFoundError(
            f'{Path(folder) / stem}: no anomaly map ({", ".join(SUFFIXES)}) for this image'
        )
    if len(found) > 1:
        raise ValueError(f'{" and ".join(map(str, found))} are maps of one image: keep one of them')
    return found[0]
