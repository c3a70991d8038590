"""What OoDIS' server takes: instances (masks with scores) or boxes of unknown objects, in one zip archive.

Its own code (https://github.com/kumuji/anomaly-benchmark-suite) reads, of all images of Lost and Found and of the test
images of SegmentMeIfYouCan's tracks, ``DATASET/NAME_instanceIds_pred.txt`` with a line ``MASK.png CLASS SCORE`` an
instance, or ``DATASET.json`` with COCO's results. It wants at least one instance of every image.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Collection, Container, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec
import numpy as np
from PIL import Image

from ..anomaly.detection_files import read_detections
from ..anomaly.found_sets import DEPTH, folders_below
from ..anomaly.instances import Instance, find_instances
from ..anomaly.io import load_map
from ..files.label_maps import read_label_map
from ..files.replacing import replacing
from .anomaly_maps import matching
from .files import Checked, Files, Request, some

#: Its data sets with the images that the benchmark has, and where they lie in the sets' own folders.
DATASETS = {
    'fishyscapes': (2239, 'leftImg8bit/*/*/[0-9][0-9]_*_leftImg8bit.png'),
    'roadanomaly': (100, 'dataset_AnomalyTrack/images/*'),
    'roadobstacle': (412, 'dataset_ObstacleTrack/images/*'),
}
#: Of the names of lists of instances.
END = '_instanceIds_pred.txt'
_LAF = '_gtCoarse'
_MASK = re.compile(r'.*_instanceIds_\d+_1\.png')
_DESCRIPTION = 'description.txt'


class Box(msgspec.Struct):
    """A box as COCO's results have it: corner, width and height in pixels."""

    image_id: str
    category_id: int
    bbox: list[float]
    score: float


class _Frame(NamedTuple):
    """An image of the benchmark."""

    dataset: str
    name: str  #: of its file of instances, without the ending

    @property
    def stem(self) -> str:
        """Of the image, and of its anomaly map."""
        return f'{self.name.removesuffix(_LAF)}_leftImg8bit' if self.dataset == 'fishyscapes' else self.name

    @property
    def listing(self) -> str:
        return f'{self.dataset}/{self.name}{END}'

    @property
    def image_id(self) -> str:
        return f'{self.stem}.png'  # whatever the image's own suffix is


def _frames(request: Request) -> list[_Frame] | None:
    """The images that a submission must have, by the benchmark's list or by the data; None where neither is given."""
    if request.annotations:
        lines = request.annotations.read_text(encoding='utf-8').split()
        parts = [line.partition('/') for line in lines if line.endswith(END)]
        if not parts or len(parts) < len(lines) or {part[0] for part in parts} - set(DATASETS):
            raise ValueError(
                f"{request.annotations}: not the benchmark's assets/expected_files.txt (lines DATASET/NAME{END}, "
                f'DATASET of {", ".join(DATASETS)})'
            )
        return [_Frame(dataset, rest.removesuffix(END)) for dataset, _, rest in parts]
    if request.data is None:
        return None
    if not request.data.is_dir():
        raise FileNotFoundError(f'{request.data}: no such folder of data sets')
    frames, missing = [], []
    folders = list(folders_below(request.data))
    for dataset, (_, pattern) in DATASETS.items():
        stems = {path.stem for folder in folders for path in folder.glob(pattern) if path.name[0] != '.'}
        if dataset == 'fishyscapes':
            names = [stem.removesuffix('_leftImg8bit') + _LAF for stem in stems]
        else:
            names = [stem for stem in stems if not stem.startswith('validation')]
        frames += [_Frame(dataset, name) for name in sorted(names)]
        missing += [] if names else [f'{pattern} ({dataset})']
    if missing:
        raise FileNotFoundError(
            f'{request.data}: no {" and no ".join(missing)} in it or {DEPTH} levels below; fishyscapes is Lost and '
            f'Found, training images too (http://www.6d-vision.com/lostandfounddataset), the others are '
            f"SegmentMeIfYouCan's (https://segmentmeifyoucan.com/datasets). Or give --annotations, the benchmark's "
            f'assets/expected_files.txt'
        )
    return frames


def _wanted(request: Request) -> list[_Frame]:
    frames = _frames(request)
    if frames is None:
        raise ValueError('--data FOLDER or --annotations expected_files.txt says which images there are')
    return frames


def _archive(path: Path) -> Path:
    if path.suffix != '.zip':
        raise ValueError(f'--out {path}: OoDIS takes a .zip archive')
    return path


def _instances(
    request: Request, frames: list[_Frame]
) -> Iterator[tuple[_Frame, tuple[int, int], list[Instance]]]:
    """Each image's size and instances, from its anomaly map."""
    assert request.threshold is not None
    boxes = read_detections(request.boxes, need_score=False) if request.boxes else None
    stems = np.array([Path(image).stem for image in boxes.image], str) if boxes else None
    maps = matching(request.sources, {frame.stem: Path(frame.image_id) for frame in frames})
    for frame in frames:
        values, own = load_map(maps[frame.stem]), None
        if not np.isfinite(values).all():
            raise ValueError(f'{maps[frame.stem]}: values that are NaN or infinite')
        if boxes is not None:
            mine = np.flatnonzero(stems == frame.stem)
            own = boxes.xyxy[mine[np.argsort(-boxes.score[mine], kind='stable')]]
        yield frame, values.shape, find_instances(values, request.threshold, own)


def write_oodis(request: Request) -> Path:
    """Write the archive of instances: masks of 0 and 255, their lists, and ``description.txt``.

    An image without an instance gets an empty mask of score 0, which the evaluation skips.

    Raises:
        FileNotFoundError, ValueError: A map is missing or cannot be used, or which images there are is not known.
    """
    assert request.out
    with (
        replacing(_archive(request.out)) as part,
        zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as archive,
    ):
        for dataset in DATASETS:
            archive.writestr(f'{dataset}/', '')  # the official check looks for the folders themselves
        text = f'name: {request.method or ""}\npaper_link: \ncode_link: \n'
        archive.writestr(_DESCRIPTION, text)
        for frame, size, found in _instances(request, _wanted(request)):
            lines = []
            for number, instance in enumerate(found or [Instance(np.zeros(size, bool), 0.0)]):
                name = f'{frame.name}_instanceIds_{number}_1.png'
                picture = io.BytesIO()
                Image.fromarray(instance.mask.astype(np.uint8) * 255).save(picture, format='PNG')
                archive.writestr(f'{frame.dataset}/{name}', picture.getvalue(), zipfile.ZIP_STORED)
                lines.append(f'{name} 1 {instance.score!r}\n')
            archive.writestr(frame.listing, ''.join(lines))
    return request.out


def write_oodis_det(request: Request) -> Path:
    """Write the archive of boxes, ``DATASET.json``: of the instances of anomaly maps, or of a detector's ``det.json``.

    A detector's boxes have their ``ood_score`` as score. An image without a box gets one of a pixel with a score
    below all others, because the official check wants every image.

    Raises:
        FileNotFoundError, ValueError: As `write_oodis`; also for detections of images that are not among those wanted.
    """
    assert request.out
    out, frames = _archive(request.out), _wanted(request)
    boxes: dict[str, list[Box]] = {dataset: [] for dataset in DATASETS}
    for frame, corners, scores in _found_boxes(request, frames):
        size = corners[:, 2:] - corners[:, :2]
        for bbox, score in zip(
            np.concatenate([corners[:, :2], size], 1).tolist(), scores.tolist(), strict=True
        ):
            boxes[frame.dataset].append(Box(frame.image_id, 1, bbox, score))
    for dataset, found in boxes.items():
        lowest = min((box.score for box in found), default=0.0) - 1
        bare = {f.image_id for f in frames if f.dataset == dataset} - {box.image_id for box in found}
        found += [Box(image, 1, [0.0, 0.0, 1.0, 1.0], lowest) for image in sorted(bare)]
    with replacing(out) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as archive:
        for dataset, found in boxes.items():
            archive.writestr(f'{dataset}.json', msgspec.json.encode(found))
    return out


def _found_boxes(request: Request, frames: list[_Frame]) -> Iterator[tuple[_Frame, np.ndarray, np.ndarray]]:
    """Each image's corners (n, 4) and scores (n,)."""
    source = request.sources[0]
    if source.suffix != '.json':
        if request.threshold is None:
            raise ValueError('--threshold: the score from which pixels of anomaly maps are unknown')
        for frame, _, found in _instances(request, frames):
            corners = np.array([instance.xyxy() for instance in found], float).reshape(-1, 4)
            yield frame, corners, np.array([instance.score for instance in found])
        return
    if request.boxes or request.threshold is not None:
        raise ValueError(f'{source}: --boxes and --threshold are for anomaly maps, these are boxes')
    rows = read_detections(source)
    stems = np.array([Path(image).stem for image in rows.image], str)
    if beyond := sorted(set(stems.tolist()) - {frame.stem for frame in frames}):
        raise ValueError(f'{source}: {len(beyond)} images are not of the benchmark, such as {beyond[0]}')
    for frame in frames:
        mine = stems == frame.stem
        yield frame, rows.xyxy[mine], rows.ood_score[mine]


def check_oodis(path: Path, request: Request) -> Checked:
    """Check an archive or folder of instances: names, lists, masks, sizes and scores."""
    done, files = Checked(), Files(path)
    frames = _frames(request)
    there = set(files.names)
    lists = sorted(name for name in there if name.endswith('.txt') and name != _DESCRIPTION)
    _tell_images(done, lists, frames, lambda frame: frame.listing)
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            folders = {info.filename for info in archive.infolist() if info.is_dir()}
        if lacking := sorted({f'{dataset}/' for dataset in DATASETS} - folders):
            done.problems.append(
                f'no entry of the folder {some(lacking)} itself, which the official check looks for'
            )
    if _DESCRIPTION not in there:
        done.notes.append(f'no {_DESCRIPTION} with name, paper_link and code_link')
    listed: set[str] = set()
    for name in lists:
        done.counted['lists'] += 1
        sizes = set()
        for line in files.read(name).decode('utf-8', 'replace').splitlines() or ['']:
            mask, _, problem = list_line(name, line, there)
            if problem:
                done.problems.append(f'{name}: {problem}')
                continue
            listed.add(mask)
            done.counted['masks'] += 1
            try:
                sizes.add(read_label_map(mask, content=files.read(mask)).shape)
            except ValueError as error:
                done.problems.append(str(error))
        if len(sizes) > 1:
            done.problems.append(f'{name}: masks of {len(sizes)} sizes, {some(sorted(sizes))}')
    if beyond := sorted(there - listed - set(lists) - {_DESCRIPTION}):
        done.problems.append(f'{len(beyond)} files are in no list: {some(beyond)}')
    return done


def list_line(name: str, line: str, there: Container[str]) -> tuple[str, float, str]:
    """The mask that a line of a list names, its score, and what is wrong with the line (empty where nothing is)."""
    parts = line.split(' ')
    if not line.strip():
        return '', 0.0, 'an empty line or list: at least one instance of every image is expected'
    if len(parts) != 3:
        return '', 0.0, f'{line!r}; expected MASK.png CLASS SCORE'
    mask = str(PurePosixPath(name).parent / parts[0])
    if not _MASK.fullmatch(parts[0]) or '/' in parts[0]:
        return mask, 0.0, f'{parts[0]}; the official check wants NAME_instanceIds_N_1.png beside the list'
    if mask not in there:
        return mask, 0.0, f'no {parts[0]} beside it'
    try:
        score = float(parts[2])
        int(parts[1])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        return mask, score, f'{line!r}: class and score are not an integer and a finite number'
    return mask, score, ''


def check_oodis_det(path: Path, request: Request) -> Checked:
    """Check an archive or folder of boxes: names, images, form and numbers."""
    done, files = Checked(), Files(path)
    expected = [f'{dataset}.json' for dataset in DATASETS]
    done.names(
        files.names, expected, f'files ({", ".join(expected)}, and the official check allows no other)'
    )
    found: set[str] = set()
    for name in sorted(set(files.names) & set(expected)):
        try:
            boxes = msgspec.json.decode(files.read(name), type=list[Box])
        except msgspec.DecodeError as error:
            done.problems.append(f'{name}: not a list of image_id, category_id, bbox and score ({error})')
            continue
        done.counted['boxes'] += len(boxes)
        for number, box in enumerate(boxes):
            found.add(box.image_id)
            numbers = [*box.bbox, box.score]
            if len(numbers) != 5 or not all(map(math.isfinite, numbers)) or min(box.bbox[2:]) <= 0:
                done.problems.append(f'{name}: box {number} is {box.bbox} of score {box.score}')
            elif box.category_id != 1:
                done.problems.append(f'{name}: box {number} has category {box.category_id}, expected 1')
    _tell_images(done, found, _frames(request), lambda frame: frame.image_id)
    return done


def _tell_images(
    done: Checked, found: Collection[str], frames: list[_Frame] | None, name_of: Callable[[_Frame], str]
) -> None:
    """Compare the images with those that there must be."""
    if frames is None:
        done.notes.append(
            'images were not compared with those of the benchmark: --annotations expected_files.txt or --data does'
        )
        return
    done.names(found, [name_of(frame) for frame in frames], 'images')
    for dataset, (count, _) in DATASETS.items():
        if (given := sum(frame.dataset == dataset for frame in frames)) != count:
            done.notes.append(f'{given} images of {dataset}, which has {count} in the benchmark')
