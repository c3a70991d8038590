"""Out-of-distribution data sets: which image has which mask, and what the mask's values mean.

All give masks of 0 (inlier), 1 (outlier) and 255 (left out).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

IGNORED = 255
IMAGES = ('.jpg', '.jpeg', '.png', '.webp')


class Layout(NamedTuple):
    """How a data set lies on disk."""

    pairs: Callable[[Path], list[tuple[Path, Path]]]  #: images and masks below a root
    labels: dict[int, int]  #: mask value -> 0 or 1; others are left out
    source: str  #: where to get it
    images: int | None = None  #: how many the published set has


def _by_mask(root: Path, masks: str, image_of: Callable[[Path], list[Path]]) -> list[tuple[Path, Path]]:
    """Pairs found from the masks; an image that is not there is named."""
    pairs = []
    for mask in sorted(root.glob(masks)):
        candidates = image_of(mask)
        found = next((p for p in candidates if p.is_file()), None)
        if found is None:
            raise FileNotFoundError(f'{candidates[0]}: no such image, but its mask {mask} is there')
        pairs.append((found, mask))
    return pairs


def _by_image(images: list[Path], mask_of: Callable[[Path], Path]) -> list[tuple[Path, Path]]:
    """Pairs found from the images; one without a mask is refused, not counted as inlier."""
    pairs = [(image, mask_of(image)) for image in images]
    bare = [image for image, mask in pairs if not mask.is_file()]
    if bare:
        raise FileNotFoundError(f'{bare[0]}: this image has no mask ({len(bare)} of {len(pairs)} have none)')
    return pairs


def _road_anomaly(root: Path) -> list[tuple[Path, Path]]:
    root = root / 'RoadAnomaly_jpg' if (root / 'RoadAnomaly_jpg').is_dir() else root
    names = json.loads((root / 'frame_list.json').read_text())
    images = [root / 'frames' / Path(name).with_suffix('.jpg').name for name in names]
    return _by_image(images, lambda p: p.with_suffix('.labels') / 'labels_semantic.png')


def _folders(images: str, masks: str) -> Callable[[Path], list[tuple[Path, Path]]]:
    def pairs(root: Path) -> list[tuple[Path, Path]]:
        files = sorted(p for p in (root / images).glob('*') if p.suffix.lower() in IMAGES)
        return _by_image(files, lambda p: root / masks / f'{p.stem}.png')

    return pairs


def _fishyscapes_laf(root: Path) -> list[tuple[Path, Path]]:
    def image_of(mask: Path) -> list[Path]:
        stem = mask.name.removesuffix('_labels.png')
        bare = stem.split('_', 1)[1]
        return [
            root / 'laf_images' / f'{s}{end}' for s in (bare, stem) for end in ('_leftImg8bit.png', '.png')
        ]

    return _by_mask(root, 'fishyscapes_lostandfound/*_labels.png', image_of)


def _fishyscapes_static(version: int) -> Callable[[Path], list[tuple[Path, Path]]]:
    def pairs(root: Path) -> list[tuple[Path, Path]]:
        images = root / f'fs_static_images_v{version}'
        return _by_mask(
            root,
            f'fs_val_v{version}/*_labels.png',
            lambda mask: [images / mask.name.replace('_labels.png', end) for end in ('_rgb.png', '_rgb.jpg')],
        )

    return pairs


def _smiyc(folder: str, left_out: set[str]) -> Callable[[Path], list[tuple[Path, Path]]]:
    """The validation images (those of the test set have no public masks)."""

    def pairs(root: Path) -> list[tuple[Path, Path]]:
        root = root / folder if (root / folder).is_dir() else root
        images = sorted(p for p in (root / 'images').glob('validation*') if p.suffix.lower() in IMAGES)
        images = [p for p in images if p.stem not in left_out]
        return _by_image(images, lambda p: root / 'labels_masks' / f'{p.stem}_labels_semantic.png')

    return pairs


def _lost_and_found(root: Path) -> list[tuple[Path, Path]]:
    images = sorted((root / 'leftImg8bit/test').glob('*/*_leftImg8bit.png'))

    def mask_of(image: Path) -> Path:
        name = image.name.replace('_leftImg8bit', '_gtCoarse_labelTrainIds')
        return root / 'gtCoarse/test' / image.parent.name / name

    return _by_image(images, mask_of)


_PLAIN = {0: 0, 1: 1}
_SMIYC = 'https://segmentmeifyoucan.com/datasets'
_FISHY = 'https://fishyscapes.com/dataset'
#: The excluded images of SMIYC's obstacle track: its own validation set has 30 images.
OBSTACLE_LEFT_OUT = {f'validation_{i}' for i in (19, *range(21, 30))}
LAYOUTS: dict[str, Layout] = {
    'road_anomaly': Layout(
        _road_anomaly, {0: 0, 1: 1, 2: 1}, 'https://www.epfl.ch/labs/cvlab/data/road-anomaly/', 60
    ),
    'road_anomaly_synboost': Layout(
        _folders('original', 'labels'), _PLAIN, 'https://github.com/giandbt/SynBoost', 60
    ),
    'fishyscapes_laf': Layout(_fishyscapes_laf, _PLAIN, _FISHY, 100),
    'fishyscapes_static_v1': Layout(_fishyscapes_static(1), _PLAIN, _FISHY, 30),
    'fishyscapes_static_v2': Layout(_fishyscapes_static(2), _PLAIN, _FISHY, 30),
    'smiyc_anomaly': Layout(_smiyc('dataset_AnomalyTrack', set()), _PLAIN, _SMIYC, 10),
    'smiyc_obstacle': Layout(_smiyc('dataset_ObstacleTrack', OBSTACLE_LEFT_OUT), _PLAIN, _SMIYC, 30),
    'lost_and_found': Layout(
        _lost_and_found, {1: 0, 2: 1}, 'http://www.6d-vision.com/lostandfounddataset', 1203
    ),
    'masks': Layout(
        _folders('images', 'masks'), _PLAIN, 'tools/dataset_converters/make_road_scenes.py (its ood/val)'
    ),
}


def find_pairs(layout: str, root: str | Path) -> list[tuple[Path, Path]]:
    """Images and masks of a data set; warns where there are not as many as published.

    Raises:
        KeyError: No such layout.
        FileNotFoundError: Nothing there, an image without its mask or a mask without its image; says
            which, and where to get the data.
    """
    if layout not in LAYOUTS:
        raise KeyError(f'no layout is called {layout!r}; there are {", ".join(LAYOUTS)}')
    root = Path(root)
    try:
        pairs = LAYOUTS[layout].pairs(root) if root.is_dir() else []
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{layout}: {error}. The data is at {LAYOUTS[layout].source}') from error
    if not pairs:
        raise FileNotFoundError(
            f'{root}: no images of {layout} there; get them from {LAYOUTS[layout].source}'
        )
    published = LAYOUTS[layout].images
    if published not in (None, len(pairs)):
        warnings.warn(
            f'{root} has {len(pairs)} images of {layout}, the published set {published}: '
            'scores cannot be compared with published ones',
            stacklevel=2,
        )
    return pairs


def read_mask(path: str | Path, layout: str) -> np.ndarray:
    """(H, W) uint8 of 0, 1 and 255.

    Raises:
        OSError: The file cannot be read; names it.
    """
    try:
        raw = np.asarray(Image.open(path))
    except OSError as error:
        raise OSError(f'{path}: this mask cannot be read ({error})') from error
    table = np.full(256, IGNORED, np.uint8)
    for value, label in LAYOUTS[layout].labels.items():
        table[value] = label
    return table[raw if raw.ndim == 2 else raw[..., 0]]
