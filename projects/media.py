"""Images as they come: a file, a folder, a glob or a video."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

IMAGES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


def read_image(path: str | Path) -> np.ndarray:
    """An image as BGR uint8 (H, W, 3).

    Raises:
        FileNotFoundError, ValueError: No such file, or not an image; names it.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'{path}: not an image that can be read')
    return image


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, first to a temporary file beside it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.part_{path.name}')
    if not cv2.imwrite(str(part), image):
        raise OSError(f'{path} could not be written')
    os.replace(part, path)


def open_source(source: str | Path) -> tuple[Iterator[tuple[str, np.ndarray]], int]:
    """Names and BGR images of a source, and how many there are.

    A folder gives its images in sorted order under their paths inside it; a video its frames as
    ``NAME_000000.jpg``.
    """
    source = Path(source)
    if source.suffix.lower() in VIDEOS and source.is_file():
        return _video(source)
    if source.is_dir():
        files = sorted(p for p in source.rglob('*') if p.suffix.lower() in IMAGES)
        names = [str(p.relative_to(source)) for p in files]
    else:
        files = [source] if source.is_file() else sorted(map(Path, glob.glob(str(source), recursive=True)))
        names = [p.name for p in files]
    if not files:
        raise FileNotFoundError(
            f'{source}: no image ({", ".join(IMAGES)}) or video ({", ".join(VIDEOS)}) there'
        )
    return ((name, read_image(file)) for name, file in zip(names, files)), len(files)


def _video(path: Path) -> tuple[Iterator[tuple[str, np.ndarray]], int]:
    video = cv2.VideoCapture(str(path))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if not video.isOpened() or total <= 0:
        raise ValueError(f'{path}: not a video that can be read')

    def frames() -> Iterator[tuple[str, np.ndarray]]:
        index = 0
        while True:
            ok, image = video.read()
            if not ok:
                break
            yield f'{path.stem}_{index:06}.jpg', image
            index += 1
        video.release()

    return frames(), total
