"""Writes road scenes as a data set in BDD100K's layout."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..files import write_json
from ..files.png import write_png
from ..files.replacing import own_name, remove_dead_parts
from .bitmasks import bitmasks
from .objects import OOD_TEST, OOD_TRAIN
from .scene import Scene
from .tracks import split_of, write_tracks

#: Mask values of pictures with objects of no class.
IN, OUT = 0, 1
#: What marks an outlier object's pixels in the pool for training.
OUTLIER = 254


def write_dataset(
    root: str | Path,
    train: int = 600,
    val: int = 100,
    ood: int = 60,
    videos: int = 0,
    frames: int = 12,
    size: tuple[int, int] = (320, 192),
    seed: int = 0,
    force: bool = False,
    progress: Callable[[], object] = lambda: None,
    tracks: int = 0,
    stride: float = 1,
    ego: float = 1,
) -> dict[str, int]:
    """Make a data set of road scenes; the same arguments give the same bytes.

    It is made in a folder beside ``root`` and renamed, so that it is whole or not there:

    - ``images/100k/{train,val}`` and ``labels/det_20/det_{train,val}.json`` (Scalabel);
    - ``labels/drivable/masks/{train,val}`` of them, 0 the lane of one's own, 1 the rest of the road, 2 what is no road;
    - ``images/10k/{train,val}`` (the same scenes) and ``labels/sem_seg/masks/{train,val}``, 19 classes;
    - ``labels/{ins_seg,pan_seg}/bitmasks/{train,val}`` of them, instances and segments;
    - ``ood/val/{images,masks}``: held-out scenes with objects of no class (mask 1, else 0), and their boxes
      in ``ood/val/det.json`` (Scalabel, category ``ood``; the boxes of the known objects are left out);
    - ``ood/train/{images,masks}``: objects of no class, of other kinds, to paste (mask 254, else 0);
    - ``videos/{train,val}.txt`` and ``videos/data/NAME/{origin,mask}``: scenes in motion in VSPW's layout (masks
      as above), where ``videos`` is not 0;
    - ``images/track/{train,val}/NAME`` and ``labels/box_track_20/{train,val}/NAME.json``: drives whose objects
      have tracks (`Drive`), where ``tracks`` is not 0.

    Args:
        root: The data set's folder.
        train, val, ood: Numbers of scenes.
        videos, tracks, frames: Numbers of videos without and with tracks (a fifth of them, at least one of several,
            for ``val``) and of frames of each.
        size: (width, height).
        seed: Seed of all that is random.
        force: Replace the road scenes that are at ``root``; whatever else is there stays.
        progress: Called after every scene.
        stride, ego: Of the videos with tracks, as `Drive`.

    Returns:
        How many images, boxes and objects of no class were made.

    Raises:
        FileExistsError: ``root`` is there already or, with ``force``, holds other files than road scenes.
        ValueError: A number is negative, or a size not positive.
    """
    if min(train, val, ood, videos, tracks, ego) < 0 or min(frames, *size) < 1 or stride <= 0:
        raise ValueError(
            f'{train}, {val}, {ood} scenes, {videos} + {tracks} videos of {frames} frames, size {size}, '
            f'stride {stride}, ego {ego}: too few'
        )
    root = Path(os.path.realpath(root))
    if root.exists():
        _refuse(root, force)
    root.parent.mkdir(parents=True, exist_ok=True)
    remove_dead_parts(root.parent)
    part = root.with_name(own_name(root.name))
    try:
        counts = _write(part, train, val, ood, videos, frames, size, seed, progress)
        first = seed * 10_000_000 + 4_000_000
        counts['tracked'] = write_tracks(part, tracks, first, frames, size, stride, ego, _image, progress)
        if root.exists():
            old = root.with_name(own_name(root.name))
            root.rename(old)
            part.rename(root)
            shutil.rmtree(old)
        else:
            part.rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def _refuse(root: Path, force: bool) -> None:
    """Raise unless a folder may be replaced: one that is empty or holds road scenes and nothing else."""
    if not force:
        raise FileExistsError(f'{root} is there already: give another folder, or --force to replace it')
    shown = {path.name for path in root.iterdir() if path.name[0] != '.'} if root.is_dir() else {root.name}
    other = shown - {'images', 'labels', 'ood', 'videos'}
    if shown and (other or not (root / 'ood/train/images/object-0000.jpg').is_file()):
        raise FileExistsError(
            f'{root} holds other files than road scenes ({", ".join(sorted(other or shown)[:5])}), which --force does '
            f'not replace: give another folder'
        )


def _write(
    part: Path,
    train: int,
    val: int,
    ood: int,
    videos: int,
    frames: int,
    size: tuple[int, int],
    seed: int,
    progress: Callable[[], object],
) -> dict[str, int]:
    counts = dict(images=0, boxes=0, ood=0)
    for split, number, first in (('train', train, 0), ('val', val, 1_000_000)):
        counts['images'] += number
        counts['boxes'] += _labeled(part, split, number, seed * 10_000_000 + first, size, progress)
    counts['ood'] = _unknown(part / 'ood/val', ood, seed * 10_000_000 + 2_000_000, size, progress)
    _outlier_pool(part / 'ood/train', max(ood, 40), seed, size)
    _videos(part / 'videos', videos, seed * 10_000_000 + 3_000_000, frames, size, progress)
    return counts


def _image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix == '.jpg' else []
    if not cv2.imwrite(str(path), image, options):
        raise OSError(f'{path} could not be written')


def _labeled(part: Path, split: str, number: int, seed: int, size: tuple[int, int], progress) -> int:
    frames, boxes = [], 0
    for i in range(number):
        scene = Scene(seed + i, size)
        rendered = scene.render()
        name = f'{split}-{i:05d}'
        _image(part / f'images/100k/{split}/{name}.jpg', rendered.image)
        _image(part / f'images/10k/{split}/{name}.jpg', rendered.image)
        _image(part / f'labels/sem_seg/masks/{split}/{name}.png', rendered.sem_seg)
        _image(part / f'labels/drivable/masks/{split}/{name}.png', rendered.drivable)
        for task, pixels in bitmasks(rendered).items():
            write_png(part / f'labels/{task}/bitmasks/{split}/{name}.png', pixels)
        frames.append(_frame(f'{name}.jpg', scene, rendered.boxes, boxes))
        boxes += len(rendered.boxes)
        progress()
    write_json(part / f'labels/det_20/det_{split}.json', frames)
    return boxes


def _unknown(folder: Path, number: int, seed: int, size: tuple[int, int], progress) -> int:
    frames, boxes = [], 0
    for i in range(number):
        scene = Scene(seed + i, size, OOD_TEST)
        rendered = scene.render()
        name = f'ood-{i:05d}'
        _image(folder / f'images/{name}.jpg', rendered.image)
        _image(folder / f'masks/{name}.png', np.where(rendered.ood, OUT, IN).astype(np.uint8))
        unknown = [box for box in rendered.boxes if box['category'] == 'ood']
        frames.append(_frame(f'{name}.jpg', scene, unknown, boxes))
        boxes += len(unknown)
        progress()
    write_json(folder / 'det.json', frames)
    return boxes


def _frame(name: str, scene: Scene, boxes: list[dict], first: int) -> dict:
    labels = [
        dict(
            id=str(first + k),
            category=box['category'],
            attributes=dict(occluded=box['occluded'], truncated=box['truncated'], crowd=False),
            box2d=box['box2d'],
        )
        for k, box in enumerate(boxes)
    ]
    attributes = dict(weather=scene.weather, scene=scene.place, timeofday=scene.timeofday)
    return dict(name=name, attributes=attributes, timestamp=0, labels=labels)


def _outlier_pool(folder: Path, number: int, seed: int, size: tuple[int, int]) -> None:
    kinds = list(OOD_TRAIN.values())
    side = max(min(size) // 2, 32)
    for i in range(number):
        rng = np.random.default_rng([seed, 4, i])
        image = np.full((side, side, 3), rng.integers(60, 200, 3), np.uint8)
        height = int(side * rng.uniform(0.3, 0.85))
        ((_, mask),) = kinds[i % len(kinds)](image, side // 2, round(0.95 * side), height, rng)
        noise = rng.normal(0, 3, image.shape)
        _image(folder / f'images/object-{i:04d}.jpg', (image + noise).clip(0, 255).astype(np.uint8))
        _image(folder / f'masks/object-{i:04d}.png', np.where(mask > 0, OUTLIER, 0).astype(np.uint8))


def _videos(folder: Path, number: int, seed: int, frames: int, size: tuple[int, int], progress) -> None:
    names: dict[str, list[str]] = dict(train=[], val=[])
    for i in range(number):
        name = f'video-{i:04d}'
        names[split_of(i, number)].append(name)
        scene = Scene(seed + i, size)
        for t in range(frames):
            rendered = scene.render(t)
            _image(folder / f'data/{name}/origin/{t:08d}.jpg', rendered.image)
            _image(folder / f'data/{name}/mask/{t:08d}.png', rendered.sem_seg)
        progress()
    for split, listed in names.items() if number else ():
        (folder / f'{split}.txt').write_text('\n'.join(listed) + '\n')
