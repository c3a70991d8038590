"""Out-of-distribution data sets: which image has which mask, and what the mask's values mean.

All give masks of 0 (inlier), 1 (outlier) and 255 (left out).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files import is_image
from ..files.json_files import read_json
from ..files.label_maps import read_label_map

IGNORED = 255

#: An image and its mask; None where the data set publishes none.
Pair = tuple[Path, 'Path | None']


class Layout(NamedTuple):
    """How a data set lies on disk."""

    pairs: Callable[[Path], list[Pair]]  #: images and masks below a root
    files: str  #: what is looked for there
    labels: dict[int, int]  #: mask value -> 0 or 1; 255 is left out
    source: str  #: where to get it
    images: int | None = None  #: how many the published set has
    others: bool = False  #: whether masks have other values, which are left out too


def _seen(paths: Iterable[Path]) -> list[Path]:
    """Images in order, without hidden files (such as ``._a.png`` of macOS)."""
    return sorted(path for path in paths if is_image(path) and not path.name.startswith('.'))


def _by_mask(root: Path, masks: str, image_of: Callable[[Path], list[Path]]) -> list[Pair]:
    """Pairs found from the masks; an image that is not there is named."""
    pairs: list[Pair] = []
    for mask in _seen(root.glob(masks)):
        candidates = image_of(mask)
        found = next((p for p in candidates if p.is_file()), None)
        if found is None:
            looked = ', '.join(map(str, candidates))
            raise FileNotFoundError(f'no image of the mask {mask}: looked for {looked}')
        pairs.append((found, mask))
    return pairs


def _by_image(images: list[Path], mask_of: Callable[[Path], Path]) -> list[Pair]:
    """Pairs found from the images; one without a mask is refused, not counted as inlier."""
    masks = [mask_of(image) for image in images]
    bare = [(image, mask) for image, mask in zip(images, masks) if not mask.is_file()]
    if bare:
        raise FileNotFoundError(
            f'{bare[0][0]}: this image has no mask ({len(bare)} of {len(images)} have none); looked for '
            f'{bare[0][1]}'
        )
    return list(zip(images, masks))


def _road_anomaly(root: Path) -> list[Pair]:
    root = root / 'RoadAnomaly_jpg' if (root / 'RoadAnomaly_jpg').is_dir() else root
    listed = root / 'frame_list.json'
    if not listed.is_file():
        return []
    listed_names = read_json(listed, list[str], 'a list of names of images')
    names = [Path(name).with_suffix('.jpg').name for name in listed_names]
    images = [root / 'frames' / name for name in names]
    if missing := [image for image in images if not image.is_file()]:
        raise FileNotFoundError(f'{missing[0]}: no such image, but {listed} names it')
    return _by_image(images, lambda p: p.with_suffix('.labels') / 'labels_semantic.png')


def _folders(images: str, masks: str) -> Callable[[Path], list[Pair]]:
    def pairs(root: Path) -> list[Pair]:
        top = root / images
        inside = [path.relative_to(top) for path in _seen(top.rglob('*'))]
        shown = [top / path for path in inside if not any(part.startswith('.') for part in path.parts)]
        return _by_image(shown, lambda p: (root / masks / p.relative_to(top)).with_suffix('.png'))

    return pairs


def _images(root: Path) -> list[Pair]:
    folder = root / 'images' if (root / 'images').is_dir() else root
    return [(image, None) for image in _seen(folder.glob('*'))]


def _fishyscapes_laf(root: Path) -> list[Pair]:
    def image_of(mask: Path) -> list[Path]:
        stem = mask.name.removesuffix('_labels.png')
        bare = stem.split('_', 1)[1]
        return [
            root / 'laf_images' / f'{s}{end}' for s in (bare, stem) for end in ('_leftImg8bit.png', '.png')
        ]

    return _by_mask(root, 'fishyscapes_lostandfound/*_labels.png', image_of)


def _fishyscapes_static(version: int) -> Callable[[Path], list[Pair]]:
    def pairs(root: Path) -> list[Pair]:
        images = root / f'fs_static_images_v{version}'
        return _by_mask(
            root,
            f'fs_val_v{version}/*_labels.png',
            lambda mask: [images / mask.name.replace('_labels.png', end) for end in ('_rgb.png', '_rgb.jpg')],
        )

    return pairs


def _smiyc(folder: str, left_out: Collection[str] = (), test: bool = False) -> Callable[[Path], list[Pair]]:
    """The validation images, or those of the test set, which have no public masks."""

    def pairs(root: Path) -> list[Pair]:
        root = root / folder if (root / folder).is_dir() else root
        images = _seen((root / 'images').glob('*'))
        images = [p for p in images if p.name.startswith('validation') != test and p.stem not in left_out]
        if test:
            return [(image, None) for image in images]
        return _by_image(images, lambda p: root / 'labels_masks' / f'{p.stem}_labels_semantic.png')

    return pairs


def _issu(scenes: str, light: str = '') -> Callable[[Path], list[Pair]]:
    """Images of single frames (``static``) or drives (``temporal``), of all or in ``normal`` light or ``lowlight``."""

    def pairs(root: Path) -> list[Pair]:
        root = root / 'dataset_ISSUTrack' if (root / 'dataset_ISSUTrack').is_dir() else root
        images = _seen((root / 'images').glob(f'{scenes}_*'))
        if light:
            dark = [path.stem.split('_')[1] in ISSU_LOWLIGHT[scenes] for path in images]
            images = [path for path, is_dark in zip(images, dark) if is_dark == (light == 'lowlight')]
        return _by_image(images, lambda p: root / 'labels_masks' / f'{p.stem}.png')

    return pairs


def _ade_ood(root: Path) -> list[Pair]:
    images = _seen((root / 'images').glob('*.jpg'))
    return _by_image(images, lambda p: root / 'annotations' / f'{p.stem}_mask.png')


def _lost_and_found(root: Path) -> list[Pair]:
    images = _seen((root / 'leftImg8bit/test').glob('*/*_leftImg8bit.png'))

    def mask_of(image: Path) -> Path:
        name = image.name.replace('_leftImg8bit', '_gtCoarse_labelTrainIds')
        return root / 'gtCoarse/test' / image.parent.name / name

    return _by_image(images, mask_of)


_NAMES = 'inlier', 'outlier'
_PLAIN = {0: 0, 1: 1}
_SMIYC = 'https://segmentmeifyoucan.com/datasets'
_FISHY = 'https://fishyscapes.com/dataset'
#: The excluded images of SMIYC's obstacle track: its own validation set has 30 images.
OBSTACLE_LEFT_OUT = {f'validation_{i}' for i in (19, *range(21, 30))}
_SMIYC_FILES = '{0}/images/validation*, {0}/labels_masks/NAME_labels_semantic.png'
_ISSU = 'https://github.com/vojirt/benchmark_issu'
#: The second part of the names of ISSU's images in rain, in fog or by night; of drives, their numbers.
ISSU_LOWLIGHT = dict(
    static={'rain', 'fog', 'lowlight'},
    temporal=set('5 15 17 20 25 31 32 33 38 39 40 41 42 45 52 54 72 80 83 85 88 91 93 94 96'.split()),
)
#: How many images its sets have, by kind of scene and light.
_ISSU_IMAGES = {
    ('static', ''): 980, ('static', 'normal'): 848, ('static', 'lowlight'): 132,
    ('temporal', ''): 1138, ('temporal', 'normal'): 868, ('temporal', 'lowlight'): 270,
}  # fmt: skip
_ISSU_FILES = 'dataset_ISSUTrack/images/{0}_*.png, dataset_ISSUTrack/labels_masks/NAME.png'
_STATIC_FILES = 'fs_val_v{0}/*_labels.png, fs_static_images_v{0}/*_rgb.png'
LAYOUTS: dict[str, Layout] = {
    'road_anomaly': Layout(
        _road_anomaly,
        'RoadAnomaly_jpg/frame_list.json, frames/NAME.jpg, frames/NAME.labels/labels_semantic.png',
        {0: 0, 1: 1, 2: 1},
        'https://www.epfl.ch/labs/cvlab/data/road-anomaly/',
        60,
    ),
    'road_anomaly_synboost': Layout(
        _folders('original', 'labels'),
        'original/NAME.jpg, labels/NAME.png',
        _PLAIN,
        'https://github.com/giandbt/SynBoost',
        60,
    ),
    'fishyscapes_laf': Layout(
        _fishyscapes_laf,
        'fishyscapes_lostandfound/NNNN_NAME_labels.png, laf_images/NAME_leftImg8bit.png',
        _PLAIN,
        _FISHY,
        100,
    ),
    'fishyscapes_static_v1': Layout(_fishyscapes_static(1), _STATIC_FILES.format(1), _PLAIN, _FISHY, 30),
    'fishyscapes_static_v2': Layout(_fishyscapes_static(2), _STATIC_FILES.format(2), _PLAIN, _FISHY, 30),
    'smiyc_anomaly': Layout(
        _smiyc('dataset_AnomalyTrack'), _SMIYC_FILES.format('dataset_AnomalyTrack'), _PLAIN, _SMIYC, 10
    ),
    'smiyc_obstacle': Layout(
        _smiyc('dataset_ObstacleTrack', OBSTACLE_LEFT_OUT),
        _SMIYC_FILES.format('dataset_ObstacleTrack'),
        _PLAIN,
        _SMIYC,
        30,
    ),
    'smiyc_anomaly_test': Layout(
        _smiyc('dataset_AnomalyTrack', test=True),
        'dataset_AnomalyTrack/images/* but validation*',
        {},
        _SMIYC,
    ),
    'smiyc_obstacle_test': Layout(
        _smiyc('dataset_ObstacleTrack', test=True),
        'dataset_ObstacleTrack/images/* but validation*',
        {},
        _SMIYC,
    ),
    'lost_and_found': Layout(
        _lost_and_found,
        'leftImg8bit/test/PLACE/NAME_leftImg8bit.png, gtCoarse/test/PLACE/NAME_gtCoarse_labelTrainIds.png',
        {1: 0, 2: 1},
        'http://www.6d-vision.com/lostandfounddataset',
        1203,
        others=True,
    ),
    # Both tracks of ISSU are the same images: anomalies against the 19 classes, obstacles against the road.
    **{
        '_'.join(filter(None, ('issu', track, *part))): Layout(
            _issu(*part), _ISSU_FILES.format(part[0]), labels, _ISSU, images, others=True
        )
        for track, labels in (
            ('anomaly', dict.fromkeys(range(19), 0) | {254: 1}),
            ('obstacle', {0: 0, 254: 1}),
        )
        for part, images in _ISSU_IMAGES.items()
    },
    'ade_ood': Layout(
        _ade_ood,
        'images/NAME.jpg, annotations/NAME_mask.png',
        dict.fromkeys(range(IGNORED), 0) | {1: 1},
        'https://ade-ood.github.io',
    ),
    'masks': Layout(
        _folders('images', 'masks'), 'images/NAME.jpg (or another suffix), masks/NAME.png', _PLAIN, ''
    ),
    'images': Layout(_images, 'images/* (or the images themselves)', {}, ''),
}


def find_pairs(layout: str, root: str | Path) -> list[Pair]:
    """Images and masks of a data set; warns where there are not as many as published.

    Raises:
        KeyError: No such layout.
        FileNotFoundError: Nothing there, an image without its mask or a mask without its image; says
            which, what was looked for and where to get the data.
        ValueError: Two images have one name, under which their maps are stored, or a list is damaged.
    """
    if layout not in LAYOUTS:
        raise KeyError(f'no layout is called {layout!r}; there are {", ".join(LAYOUTS)}')
    root, form = Path(root), LAYOUTS[layout]
    where = f'the data is at {form.source}, ' * bool(form.source) + 'docs/data.md shows the folders'
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: no such folder, for {layout}; {where}')
    try:
        pairs = form.pairs(root)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{layout}: {error}; {where}') from error
    if not pairs:
        raise FileNotFoundError(f'{root}: no images of {layout} there: looked for {form.files}; {where}')
    first: dict[str, Path] = {}
    for image, _ in pairs:
        if (other := first.setdefault(image.stem, image)) != image:
            raise ValueError(
                f'{other} and {image}: two images of one name, whose maps would be one; rename one'
            )
    if form.images not in (None, len(pairs)):
        warnings.warn(
            f'{root} has {len(pairs)} images of {layout}, the published set {form.images}: '
            'scores cannot be compared with published ones',
            stacklevel=2,
        )
    return pairs


def read_mask(path: str | Path, layout: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W) uint8 of 0, 1 and 255.

    Args:
        size: Height and width that it must have.

    Raises:
        FileNotFoundError, ValueError: See `read_label_map`; also for values that the layout does not know.
    """
    raw, form = read_label_map(path, size=size), LAYOUTS[layout]
    mask = np.full(raw.shape, IGNORED, np.uint8)
    for value, label in form.labels.items():
        mask[raw == value] = label
    if not form.others:
        unknown = np.unique(raw[(mask == IGNORED) & (raw != IGNORED)])
        if unknown.size:
            raise ValueError(
                f'{path}: values {", ".join(map(str, unknown[:8].tolist()))} in a mask of {layout}; expected '
                f'{", ".join(f"{v} ({_NAMES[k]})" for v, k in form.labels.items())} and 255 (left out)'
            )
    return mask
