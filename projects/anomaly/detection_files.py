"""Detections and objects of Scalabel files (``det.json``), for `mmroad.anomaly.ood_detection`."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..bdd100k.scalabel import NAME_MAPPING, Box2D, load_frames


class Detections(NamedTuple):
    """Detections of several images, one row each.

    Attributes:
        image: Image of each detection, str.
        label: Class of each, its index or its name.
        xyxy: Corners in pixels, (n, 4) float.
        score: Class probability, 0 to 1.
        ood_score: Higher = more likely of no known class.
    """

    image: np.ndarray
    label: np.ndarray
    xyxy: np.ndarray
    score: np.ndarray
    ood_score: np.ndarray


class DetectionFile(NamedTuple):
    """What a file holds.

    Attributes:
        frames: Names of all frames, those without a box included, with the video before where there is one.
        rows: Their detections.
    """

    frames: list[str]
    rows: Detections


def read_detection_file(path: str | Path, need_score: bool = True) -> DetectionFile:
    """Detections (or, with ``need_score=False``, objects) of a Scalabel file such as ``det.json``.

    Boxes come with exclusive x2, y2 (one more than in the file). Labels are the categories' names, of any data
    set; other spellings of BDD100K's classes (``person``, ``bike``, ...) become its own. Labels without a box
    (lanes) and without a category are left out.

    Args:
        path: A file, or a folder of them (`load_frames`).
        need_score: Whether every box must have ``score`` and ``ood_score``.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no Scalabel file, a frame is there twice, or a detection has no ``score`` or
            ``ood_score``.
    """
    frames = load_frames(path)
    names = [f'{frame.videoName}/{frame.name}' if frame.videoName else frame.name for frame in frames]
    if not names:
        raise ValueError(f'{path}: no frame in it')
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(
            f'{path}: {len(repeated)} frames are there more than once, such as {repeated[0]}; names of images in '
            f'several folders need the folder in front'
        )
    rows = []
    for name, frame in zip(names, frames, strict=True):
        for label in frame.labels or ():
            if label.category is None or label.box2d is None:
                continue
            if need_score and (label.score is None or label.ood_score is None):
                raise ValueError(
                    f'{path}: frame {name}: a detection lacks score or ood_score; write the file with '
                    f'tools/test.py --format-only and a box head of mmroad.abet.det, or SAFE (configs/safe)'
                )
            b = label.box2d
            assert isinstance(b, Box2D)  # `Label` makes it of a list
            box = (b.x1, b.y1, b.x2 + 1, b.y2 + 1)
            category = NAME_MAPPING.get(label.category, label.category)
            rows.append((name, category, box, label.score or 0.0, label.ood_score or 0.0))
    images, categories, boxes, scores, ood_scores = zip(*rows, strict=True) if rows else ((),) * 5
    return DetectionFile(
        names,
        Detections(
            np.array(images, dtype=str),
            np.array(categories, dtype=str),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(scores, np.float64),
            np.array(ood_scores, np.float64),
        ),
    )


def read_detections(path: str | Path, need_score: bool = True) -> Detections:
    """The rows of `read_detection_file`."""
    return read_detection_file(path, need_score).rows


def align(found: DetectionFile, truth: DetectionFile) -> tuple[Detections, Detections]:
    """Detections and objects of the frames that both files have, under one name each.

    Frames are matched by name; one that the ground truth lacks, by its base name where that is unique in both.
    Frames of the ground truth that were not run do not count as missed. Frames without ground truth are left
    out, with a warning.

    Raises:
        ValueError: No frame is in both, or a base name stands for several.
    """
    pairs = _match(found.frames, truth.frames)
    if not pairs:
        raise ValueError(
            f'none of the {len(found.frames)} in-distribution frames (such as {found.frames[0]}) is among the '
            f'{len(truth.frames)} of the ground truth (such as {truth.frames[0]}): give the labels of the images '
            f'that were run'
        )
    if lacking := [name for name in found.frames if name not in pairs]:
        warnings.warn(
            f'{len(lacking)} of {len(found.frames)} in-distribution frames have no ground truth (such as '
            f'{lacking[0]}): the threshold of best F1 is that of the others',
            stacklevel=2,
        )
    known = _rename(found.rows, pairs)
    return known, _rename(truth.rows, {name: name for name in pairs.values()})


def _match(found: Sequence[str], truth: Sequence[str]) -> dict[str, str]:
    """Names of detections' frames to those of the ground truth."""
    names = set(truth)
    pairs = {name: name for name in found if name in names}
    rest = {True: [n for n in found if n not in names], False: [n for n in truth if n not in pairs]}
    bases = {of_found: Counter(Path(n).name for n in part) for of_found, part in rest.items()}
    by_base = {Path(name).name: name for name in rest[False]}
    for name in rest[True]:
        base = Path(name).name
        if base not in by_base:
            continue
        if bases[True][base] > 1 or bases[False][base] > 1:
            several = [n for n in (*rest[True], *rest[False]) if Path(n).name == base]
            raise ValueError(f'{name}: its ground truth cannot be told, {base} is in {", ".join(several)}')
        pairs[name] = by_base[base]
    return pairs


def _rename(rows: Detections, names: dict[str, str]) -> Detections:
    keep = np.isin(rows.image, list(names))
    rows = Detections(*(column[keep] for column in rows))
    return rows._replace(image=np.array([names[name] for name in rows.image], dtype=str))
