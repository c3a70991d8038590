"""What BDD100K's test servers take (https://doc.bdd100k.com/evaluate.html), written and checked.

Detection is a JSON file of Scalabel frames, or an archive of it; the other tasks are archives: semantic segmentation
and drivable area of PNG masks, instance segmentation of bitmasks and their scores, box tracking of a JSON file of all
frames or of one a video.
"""

from __future__ import annotations

import io
import math
import zipfile
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from ..bdd100k.eval.seg import CLASSES
from ..bdd100k.scalabel import DET_CLASSES, Box2D, LabelFileError, decode_frames
from ..bdd100k.track_columns import NONE, read_track_columns
from ..files.images import image_size
from ..files.replacing import replacing, write_bytes
from .files import Checked, Files, Request, images_of, some

#: Images of the test set of each task; box tracking has 400 videos.
TEST_IMAGES = dict(
    det='20000 images',
    drivable='20000 images',
    sem_seg='2000 images',
    ins_seg='2000 images',
    box_track='400 videos',
)
#: What the server of a task takes of a folder of predictions: a folder of PNG files, and files beside it.
PARTS: dict[str, tuple[str | None, tuple[str, ...]]] = dict(
    det=(None, ('det.json',)),
    drivable=('masks', ()),
    sem_seg=('masks', ()),
    ins_seg=('bitmasks', ('score.json',)),
    box_track=(None, ('box_track.json',)),
)
#: The classes of instance segmentation are the first of detection.
_NUM_INSTANCE_CLASSES = 8


class _Label(msgspec.Struct, gc=False):
    id: Any = None
    index: int | None = None
    category: str | None = None
    score: float | None = None
    box2d: Box2D | None = None


class _Frame(msgspec.Struct, gc=False):
    name: str
    labels: list[_Label] | None = None


def write(task: str, request: Request) -> Path:
    """Write what the server of a task takes from the folder of ``mmroad test --format-dir``, or from its one file.

    Raises:
        FileNotFoundError: Predictions are missing; names them.
        ValueError: Several sources, or the output is of another kind.
    """
    assert request.out
    if len(request.sources) != 1:
        raise ValueError(f'{some(request.sources)}: one folder of predictions is expected')
    (source,), out, (pictures, files) = request.sources, request.out, PARTS[task]
    found = [source / name for name in files] if source.is_dir() or pictures else [source]
    missing = [str(file) for file in found if not file.is_file()]
    if pictures:
        masks = sorted(Path(source, pictures).glob('[!.]*.png'))
        found += masks
        missing += [] if masks else [f'{source / pictures}/*.png']
    if missing:
        raise FileNotFoundError(
            f'{", ".join(missing)}: not there. Write predictions with mmroad test CONFIG CHECKPOINT --format-only '
            f'--format-dir {source}'
        )
    if task == 'det' and out.suffix == '.json':
        write_bytes(out, found[0].read_bytes())
        return out
    if out.suffix != '.zip':
        raise ValueError(f'--out {out}: an archive for the server ends in .zip')
    with replacing(out) as part, zipfile.ZipFile(part, 'w') as archive:
        for file in found:  # PNG files are packed already
            kind = zipfile.ZIP_STORED if file.suffix == '.png' else zipfile.ZIP_DEFLATED
            name = file.relative_to(source).as_posix() if pictures and files else file.name
            archive.write(file, name, kind)
    return out


def check(task: str, path: Path, request: Request) -> Checked:
    """Check the file of a task: names, types, values and sizes."""
    done = Checked()
    images = images_of(request.data) if request.data else None
    if images is None:
        done.notes.append(
            f'names and sizes were not compared with the images (the test set has {TEST_IMAGES[task]}): --data '
            'FOLDER does'
        )
    dict(det=_boxes, ins_seg=_instances, box_track=_tracks).get(task, partial(_masks, task))(
        path, done, images
    )  # type: ignore[operator]
    return done


def _frames(content: bytes, where: str, done: Checked) -> list[_Frame]:
    frames = decode_frames(content, where, _Frame)
    seen: set[str] = set()
    twice = [frame.name for frame in frames if frame.name in seen or seen.add(frame.name)]  # type: ignore[func-returns-value]
    if twice:
        done.problems.append(f'{len(twice)} names are carried by several frames: {some(twice)}')
    return frames


def _boxes(path: Path, done: Checked, images: dict[str, Path] | None) -> None:
    if path.suffix == '.zip':
        files = Files(path)
        if files.names != ['det.json']:
            done.problems.append(
                f'the archive holds {some(files.names)}; expected det.json alone, at its top'
            )
            if 'det.json' not in files.names:
                return
        content = files.read('det.json')
    else:
        path = path / 'det.json' if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such file of predictions')
        content = path.read_bytes()
    frames = _frames(content, str(path), done)
    done.counted['frames'] = len(frames)
    done.counted['boxes'] = sum(len(frame.labels or ()) for frame in frames)
    if images is not None:
        done.names([frame.name for frame in frames], images, 'frames')
    for frame in frames:
        for number, label in enumerate(frame.labels or ()):
            if text := _wrong_label(label):
                done.problems.append(f'{frame.name}: label {number}: {text}')


def _wrong_label(label: _Label) -> str:
    if label.category not in DET_CLASSES:
        return f'category {label.category!r}; expected one of {", ".join(DET_CLASSES)}'
    if label.id is None:
        return 'no id, which the official code needs to load it'
    if label.score is None or not math.isfinite(label.score):
        return f'score {label.score}; expected a number'
    box = label.box2d
    if box is None:
        return 'no box2d'
    if not all(map(math.isfinite, (box.x1, box.y1, box.x2, box.y2))):
        return f'box2d {msgspec.to_builtins(box)} is not finite'
    if box.x2 - box.x1 < -1 or box.y2 - box.y1 < -1:  # x2 and y2 are inclusive: an empty box has -1
        return f'box2d {msgspec.to_builtins(box)}: x2 and y2 are the far corner'
    return ''


def _tracks(path: Path, done: Checked, images: dict[str, Path] | None) -> None:
    if path.suffix != '.zip':
        done.problems.append(f'{path}: the server takes a zip archive')
    try:
        columns = read_track_columns(path)
        columns.check_classes()
    except LabelFileError as error:
        done.problems.append(str(error))
        return
    done.counted['videos'] = len(set(columns.videos))
    done.counted['frames'] = len(columns.names)
    done.counted['boxes'] = len(columns.frame)
    if images is not None:
        done.names([PurePath(name).name for name in columns.names], images, 'frames')
    names = np.array(columns.names, object)
    for rows, text in (
        (np.flatnonzero([video is None for video in columns.videos]), 'frames have no videoName'),
        (np.flatnonzero(columns.frame_index == NONE), 'frames have no frameIndex'),
        (columns.frame[columns.track == NONE], 'boxes have no id'),
    ):
        if len(rows):
            done.problems.append(f'{len(rows)} {text}: {some(dict.fromkeys(names[rows]))}')
    pairs, counts = np.unique(np.stack([columns.frame, columns.track], 1), axis=0, return_counts=True)
    if len(twice := pairs[(counts > 1) & (pairs[:, 1] != NONE), 0]):
        done.problems.append(f'{len(twice)} ids are twice in a frame: {some(dict.fromkeys(names[twice]))}')


def _compare_pictures(done: Checked, names: list[str], images: dict[str, Path] | None) -> dict[str, Path]:
    """Compare names of pictures with those of the images, of which the ones by their stems are returned."""
    if images is None:
        return {}
    by_stem = {Path(name).stem: path for name, path in images.items()}
    done.names(names, [f'{stem}.png' for stem in by_stem], 'masks')
    return by_stem


def _picture(files: Files, name: str, mode: tuple[str, ...], done: Checked, image: Path | None):
    """The values of a PNG of one of some modes; None where it is another, which is noted."""
    try:
        with Image.open(io.BytesIO(files.read(name))) as opened:
            found, kind, values = opened.mode, opened.format, np.asarray(opened)
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        done.problems.append(f'{name}: not a picture that can be read ({error})')
        return None
    if kind != 'PNG' or found not in mode:
        done.problems.append(f'{name}: {kind} of mode {found}; expected PNG of {" or ".join(mode)}')
        return None
    if image is not None and values.shape[:2] != image_size(image)[::-1]:
        done.problems.append(
            f'{name}: {values.shape[:2]}, its image is {image_size(image)[::-1]} (height, width)'
        )
    return values


def _masks(task: str, path: Path, done: Checked, images: dict[str, Path] | None) -> None:
    files, count = Files(path), len(CLASSES[task])
    last = count if task == 'drivable' else count - 1  # the drivable area has a background
    if odd := [name for name in files.names if '/' in name or not name.endswith('.png')]:
        done.problems.append(f'{len(odd)} files are no NAME.png at the top: {some(odd)}')
    names = [name for name in files.names if name not in set(odd)]
    done.counted['masks'] = len(names)
    if not names:
        done.problems.append('no masks')
    by_stem = _compare_pictures(done, names, images)
    unknown = 0
    for name in names:
        values = _picture(files, name, ('L', 'P'), done, by_stem.get(Path(name).stem))
        if values is None:
            continue
        found = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
        if beyond := [value for value in found.tolist() if last < value < 255]:
            done.problems.append(f'{name}: values {some(beyond)}; classes are 0 to {last}')
        unknown += bool(found[-1] == 255)
    if unknown:
        done.notes.append(f'{unknown} masks have pixels of 255, which are of no class and count as wrong')


def _instances(path: Path, done: Checked, images: dict[str, Path] | None) -> None:
    files = Files(path)
    names = [n for n in files.names if n.startswith('bitmasks/') and n.endswith('.png') and n.count('/') == 1]
    if odd := sorted(set(files.names) - {*names, 'score.json'}):
        done.problems.append(f'{len(odd)} files are neither score.json nor bitmasks/NAME.png: {some(odd)}')
    done.counted['bitmasks'] = len(names)
    if not names:
        done.problems.append('no bitmasks')
    scores: dict[str, set[int | None]] = {}
    if 'score.json' in files.names:
        for frame in _frames(files.read('score.json'), f'{path}: score.json', done):
            scores[Path(frame.name).stem] = {label.index for label in frame.labels or ()}
            for label in frame.labels or ():
                if label.score is None or not math.isfinite(label.score) or label.index is None:
                    done.problems.append(f'score.json: {frame.name}: a label without index or finite score')
    else:
        done.problems.append('no score.json at the top: bitmasks carry no scores')
    by_stem = _compare_pictures(done, [name.rpartition('/')[2] for name in names], images)
    for name in names:
        stem = Path(name).stem
        values = _picture(files, name, ('RGBA',), done, by_stem.get(stem))
        if values is None:
            continue
        category, ids = values[..., 0], (values[..., 2].astype(np.int32) << 8) | values[..., 3]
        if category.max() > _NUM_INSTANCE_CLASSES:
            done.problems.append(f'{name}: category {category.max()}; expected 1 to {_NUM_INSTANCE_CLASSES}')
        lacking = set(np.unique(ids[category > 0]).tolist()) - scores.get(stem, set())
        if lacking and 'score.json' in files.names:
            done.problems.append(f'{name}: instances {some(sorted(lacking))} have no score')
