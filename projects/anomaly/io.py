"""Anomaly maps as files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

KINDS = {'npz': '.npz', 'png': '.png', 'smiyc': '.hdf5'}
#: What is read; the first that is there is taken.
SUFFIXES = (*KINDS.values(), '.npy')


def save_map(path: str | Path, anomaly: np.ndarray, kind: str = 'npz') -> Path:
    """Write an anomaly map (H, W), first to a temporary file.

    Args:
        path: Without suffix, which the kind gives.
        anomaly: Higher is more anomalous.
        kind: ``npz`` keeps the values (``anomaly``); ``png`` has 16 bits between the map's lowest and
            highest value, which its text says; ``smiyc`` is the benchmark's form, float16 in HDF5 (needs h5py).
    """
    path = Path(f'{path}{KINDS[kind]}')
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{os.getpid()}_{path.name}')  # two ranks may write one image
    if kind == 'npz':
        np.savez_compressed(part, anomaly=anomaly)
    elif kind == 'png':
        low, high = float(anomaly.min()), float(anomaly.max())
        scaled = (anomaly.astype(np.float64) - low) / max(high - low, 1e-12) * 65535
        text = PngImagePlugin.PngInfo()
        text.add_text('low', repr(low))
        text.add_text('high', repr(high))
        Image.fromarray(scaled.round().astype(np.uint16)).save(part, pnginfo=text)
    else:
        try:
            import h5py
        except ImportError as error:
            raise ImportError('the SMIYC form needs h5py: pip install h5py') from error
        with h5py.File(part, 'w') as file:
            file.create_dataset('value', data=anomaly.astype(np.float16), compression='gzip')
    os.replace(part, path)
    return path


def load_map(path: str | Path) -> np.ndarray:
    """Read an anomaly map (H, W): what `save_map` wrote, or `.npy`, or a 16-bit PNG of another maker,
    whose integers are the scores."""
    path = Path(path)
    if path.suffix == '.npy':
        return np.load(path)
    if path.suffix == '.npz':
        with np.load(path) as content:
            if 'anomaly' not in content:
                raise KeyError(f'{path}: no array "anomaly"; there are {", ".join(content)}')
            return content['anomaly']
    if path.suffix == '.png':
        with Image.open(path) as image:
            if 'low' not in image.info:
                return np.asarray(image).astype(np.uint16)
            low, high = (float(image.text[key]) for key in ('low', 'high'))
            return (np.asarray(image).astype(np.float64) / 65535 * (high - low) + low).astype(np.float32)
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path}: the SMIYC form needs h5py: pip install h5py') from error
    with h5py.File(path) as file:
        return file['value'][()]


def find_map(folder: str | Path, stem: str) -> Path:
    """The map of an image in a folder.

    Raises:
        FileNotFoundError: There is none; names what was looked for.
    """
    for suffix in SUFFIXES:
        path = Path(folder) / f'{stem}{suffix}'
        if path.is_file():
            return path
    raise FileNotFoundError(f'{Path(folder) / stem}: no anomaly map ({", ".join(SUFFIXES)}) for this image')
