"""Anomaly maps as SegmentMeIfYouCan's and Fishyscapes' evaluations read them.

SegmentMeIfYouCan's own code (https://github.com/SegmentMeIfYouCan/road-anomaly-benchmark) reads
``anomaly_p/METHOD/DATASET/FID.hdf5``, the dataset ``value`` in float16, of all images of a track, those without
public masks too. Fishyscapes' server (https://fishyscapes.com/submission) runs a container on ``/input/DDDD_*.png``
and takes ``/output/DDDD_anomaly.npy`` and ``/output/DDDD_segmentation.npy``: those files are written here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..anomaly.io import find_map, load_map, save_map
from ..anomaly.layouts import find_pairs
from ..files.images import image_size
from ..files.label_maps import read_label_map
from ..files.replacing import write_bytes
from .files import Checked, Files, Request, some

#: SegmentMeIfYouCan's data sets, with the folder of their images and how many the published set has (the official
#: code asks for that number of the anomaly track alone).
TRACKS = {
    'AnomalyTrack-all': ('dataset_AnomalyTrack', 110),
    'ObstacleTrack-all': ('dataset_ObstacleTrack', None),
}
_METHOD = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')
_FISHY = re.compile(r'(\d{4})_.*')
#: Fishyscapes' classes are 0 to this.
LAST_CLASS = 19


def _track_images(data: Path, folder: str) -> dict[str, Path]:
    """The images of a track by their frame ids; empty where it is not there."""
    place = data / folder / 'images'
    found = sorted(p for p in place.glob('*') if p.suffix in ('.jpg', '.webp') and p.name[0] != '.')
    return {path.stem: path for path in found}


def _tracks(data: Path) -> dict[str, dict[str, Path]]:
    tracks = {name: _track_images(data, folder) for name, (folder, _) in TRACKS.items()}
    tracks = {name: images for name, images in tracks.items() if images}
    if not tracks:
        raise FileNotFoundError(
            f'{data}: neither dataset_AnomalyTrack/images/*.jpg nor dataset_ObstacleTrack/images/*.webp in this '
            f'folder; the data is at https://segmentmeifyoucan.com/datasets'
        )
    return tracks


def _map_of(folders: Sequence[Path], stem: str) -> Path:
    """The map of an image in one of several folders."""
    found = []
    for folder in folders:
        try:
            found.append(find_map(folder, stem))
        except FileNotFoundError:
            continue
    if not found:
        raise FileNotFoundError(f'{" and ".join(map(str, folders))}: no anomaly map of {stem}')
    if len(found) > 1:
        raise ValueError(f'{found[0]} and {found[1]} are maps of one image: keep one of them')
    return found[0]


def matching(folders: Sequence[Path], images: dict[str, Path]) -> dict[str, Path]:
    """The map of every image: whether all are there is known before the first is read."""
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder of anomaly maps')
    found, missing = {}, []
    for stem in images:
        try:
            found[stem] = _map_of(folders, stem)
        except FileNotFoundError:
            missing.append(images[stem])
    if missing:
        raise FileNotFoundError(
            f'{some(missing)}: no anomaly map in {" or ".join(map(str, folders))} ({len(missing)} of {len(images)} '
            f'images have none). Write them with `mmroad infer MODEL CHECKPOINT {missing[0].parent} --out OUT`'
        )
    return found


def sized(path: Path, image: Path) -> np.ndarray:
    values, (width, height) = load_map(path), image_size(image)
    if values.shape != (height, width):
        raise ValueError(f'{path}: the map is {values.shape}, its image {image} is {(height, width)}')
    return values


def write_smiyc(request: Request) -> Path:
    """Write ``anomaly_p/METHOD/DATASET/FID.hdf5`` below the output folder, for the tracks that lie in the data.

    Returns:
        The output folder.

    Raises:
        FileNotFoundError, ValueError: A map is missing, of another size than its image or not finite as float16.
    """
    assert request.data and request.out and request.method
    if not _METHOD.fullmatch(request.method):
        raise ValueError(
            f'--method {request.method!r}: the official code takes the name of a method for a folder and separates '
            'names by commas; use letters, digits, ".", "_" and "-"'
        )
    tracks = _tracks(request.data)
    found = {name: matching(request.sources, images) for name, images in tracks.items()}
    for name, images in tracks.items():
        for stem, path in found[name].items():
            place = request.out / 'anomaly_p' / request.method / name / stem
            save_map(place, sized(path, images[stem]), 'smiyc')
    return request.out


def check_smiyc(path: Path, request: Request) -> Checked:
    """Check the files below ``anomaly_p`` of a folder or archive: names, and each map's type, size and values."""
    import h5py

    done, files = Checked(), Files(path)
    tracks = _tracks(request.data) if request.data else {}
    by_place: dict[tuple[str, str], dict[str, str]] = {}
    for name in files.names:
        parts = name.split('/')
        if len(parts) != 4 or parts[0] != 'anomaly_p' or parts[2] not in TRACKS or not name.endswith('.hdf5'):
            done.problems.append(f'{name}: expected anomaly_p/METHOD/({" or ".join(TRACKS)})/FID.hdf5')
            continue
        by_place.setdefault((parts[1], parts[2]), {})[parts[3].removesuffix('.hdf5')] = name
    if not by_place:
        done.problems.append(f'{path}: no anomaly map in it')
    for (method, track), found in sorted(by_place.items()):
        done.counted[f'maps of {method} on {track}'] = len(found)
        count = TRACKS[track][1]
        if track in tracks:
            done.names(found, tracks[track], f'maps of {method} on {track}')
        elif count not in (None, len(found)):
            done.problems.append(f'{len(found)} maps of {method} on {track}, which has {count} images')
        for fid, name in found.items():
            try:
                with h5py.File(io.BytesIO(files.read(name))) as content:
                    values = content['value'][()]
            except Exception as error:  # HDF5 ends in nearly anything on damaged files
                done.problems.append(f'{name}: no dataset "value" that can be read ({error})')
                continue
            image = tracks.get(track, {}).get(fid)
            size = image_size(image)[::-1] if image else None
            done.problems += [f'{name}: {text}' for text in _wrong(values, np.float16, size)]
    _tell_tracks(done, {track for _, track in by_place}, tracks, request)
    return done


def _tell_tracks(done: Checked, found: set[str], tracks: dict, request: Request) -> None:
    lacking = sorted(set(TRACKS) - found)
    if lacking:
        done.notes.append(f'no maps of {" and ".join(lacking)}: the benchmark ranks its tracks apart')
    if request.data is None:
        done.notes.append('names and sizes were not compared with the images: --data FOLDER does')
    for track, images in tracks.items():
        count = TRACKS[track][1]
        if count not in (None, len(images)):
            done.problems.append(
                f'{request.data} has {len(images)} images of {track}, the published set {count}'
            )


def _wrong(values: np.ndarray, dtype: type | None, size: tuple[int, int] | None) -> list[str]:
    """What is wrong with a map that was read."""
    values = np.squeeze(values) if getattr(values, 'ndim', 0) > 2 else np.asarray(values)
    if values.ndim != 2:
        return [f'an array of shape {values.shape}, expected (height, width)']
    problems = []
    if dtype is not None and values.dtype != dtype:
        problems.append(f'values of {values.dtype}, expected {np.dtype(dtype)}')
    elif values.dtype.kind not in 'fiu':
        problems.append(f'values of {values.dtype}, expected numbers')
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        problems.append(f'{np.count_nonzero(~np.isfinite(values))} values are NaN or infinite')
    if size is not None and values.shape != size:
        problems.append(f'{values.shape}, its image is {size} (height, width)')
    return problems


def _inputs(data: Path) -> dict[str, Path]:
    """Fishyscapes' input images by their four digits: a container's ``/input``, or one of the layouts here."""
    paths = [p for p in sorted(data.glob('*')) if p.suffix in ('.png', '.jpg') and _FISHY.fullmatch(p.name)]
    if not paths:  # the public sets, whose images are numbered by their masks
        for layout in ('fishyscapes_laf', 'fishyscapes_static_v2', 'fishyscapes_static_v1'):
            try:
                pairs = find_pairs(layout, data)
            except FileNotFoundError:
                continue
            return {mask.name[:4]: image for image, mask in pairs if mask is not None}
        raise FileNotFoundError(f'{data}: no images DDDD_*.png (four digits) in this folder')
    found: dict[str, Path] = {}
    for path in paths:
        if (other := found.setdefault(path.name[:4], path)) != path:
            raise ValueError(f'{other} and {path}: two images of one number')
    return found


def write_fishyscapes(request: Request) -> Path:
    """Write ``DDDD_anomaly.npy`` (H, W) float32 and ``DDDD_segmentation.npy`` (H, W) uint8 of every input image.

    Returns:
        The output folder.

    Raises:
        FileNotFoundError, ValueError: A map or class mask is missing, of another size or of other values.
    """
    assert request.data and request.out and request.classes
    images = _inputs(request.data)
    maps = matching(request.sources, {path.stem: path for path in images.values()})
    masks = {number: request.classes / f'{path.stem}.png' for number, path in images.items()}
    if missing := [path for path in masks.values() if not path.is_file()]:
        raise FileNotFoundError(
            f'{missing[0]}: no such class mask ({len(missing)} of {len(masks)} are missing)'
        )
    for number, image in images.items():
        values = sized(maps[image.stem], image).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f'{maps[image.stem]}: values that are NaN or infinite')
        classes = read_label_map(masks[number], size=values.shape, num_classes=LAST_CLASS + 1, ignored=())
        arrays: dict[str, np.ndarray] = dict(anomaly=values, segmentation=classes.astype(np.uint8))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            write_bytes(request.out / f'{number}_{name}.npy', buffer.getbuffer())
    return request.out


def check_fishyscapes(path: Path, request: Request) -> Checked:
    """Check a container's output: names, and each array's type, size and values."""
    done, files = Checked(), Files(path)
    images = _inputs(request.data) if request.data else None
    if images is None:
        done.notes.append('names and sizes were not compared with the images: --data FOLDER does')
        numbers = {name[:4] for name in files.names if _FISHY.fullmatch(name)}
    else:
        numbers = set(images)
    done.names(
        files.names, [f'{n}_{what}.npy' for n in numbers for what in ('anomaly', 'segmentation')], 'files'
    )
    for name in files.names:
        number, _, kind = name.removesuffix('.npy').partition('_')
        if number not in numbers or kind not in ('anomaly', 'segmentation'):
            continue
        done.counted[f'{kind} arrays'] += 1
        try:
            values = np.lib.format.read_array(io.BytesIO(files.read(name)), allow_pickle=False)
        except (ValueError, EOFError, OSError, MemoryError) as error:
            done.problems.append(f'{name}: not an array that can be read ({error})')
            continue
        size = image_size(images[number])[::-1] if images else None
        problems = _wrong(values, None, size)
        if kind == 'segmentation' and not problems:
            if values.dtype.kind not in 'iu':
                problems.append(f'classes of {values.dtype}, expected integers')
            elif values.size and not 0 <= values.min() <= values.max() <= LAST_CLASS:
                problems.append(f'classes from {values.min()} to {values.max()}, expected 0 to {LAST_CLASS}')
        done.problems += [f'{name}: {text}' for text in problems]
    if not files.names:
        done.problems.append(f'{path}: nothing in it')
    return done
