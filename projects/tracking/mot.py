"""Tracks as MOTChallenge files, and back.

A line is ``frame,id,left,top,width,height,conf,class,visibility`` with frames from 1. Ground truth lies in
``VIDEO/gt/gt.txt`` beside ``VIDEO/seqinfo.ini``, predictions in ``VIDEO.txt``. Classes are numbered from 1 in the
order of ``labels.txt``, which is written beside them; places are pixels of the image from 0, as in the labels.
"""

from __future__ import annotations

import configparser
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import OutputNames, write_text
from .frames import Frames

LABELS = 'labels.txt'


def write_mot(
    frames: Frames,
    folder: str | Path,
    classes: Sequence[str],
    size: tuple[int, int],
    fps: float = 5,
    truth: bool = True,
) -> list[Path]:
    """Write MOTChallenge files.

    Args:
        frames: Frames of box tracking (``frames.read``); boxes of other classes are left out.
        folder: The output folder.
        classes: Those to write, which are numbered from 1.
        size, fps: Of the videos, for seqinfo.ini; a frame's own ``size`` goes before.
        truth: Write ``VIDEO/gt/gt.txt`` and ``VIDEO/seqinfo.ini``, crowd and ignored boxes with ``conf`` 0; else
            ``VIDEO.txt`` with the scores.

    Raises:
        ValueError: An id is no whole number from 1 on (the format has no other); the message names the place.
    """
    folder, number, written = Path(folder), {name: row + 1 for row, name in enumerate(classes)}, []
    names = OutputNames(folder)
    for video, found in frames.by_video().items():
        lines = []
        for place, frame in enumerate(found):
            index = place if frame.get('frameIndex') is None else frame['frameIndex']
            for label in frame.get('labels') or ():
                if label.get('box2d') is None or label['category'] not in number:
                    continue
                lines.append(_line(video, frame['name'], index + 1, label, number[label['category']], truth))
        path = names.path(f'{video}/gt/gt.txt' if truth else f'{video}.txt')
        write_text(path, ''.join(lines))
        written.append(path)
        if truth:
            own = found[0].get('size')
            width, height = (own['width'], own['height']) if own else size
            last = max(
                (p if f.get('frameIndex') is None else f['frameIndex'] for p, f in enumerate(found)),
                default=-1,
            )
            info = dict(name=video, imDir='img1', frameRate=f'{fps:g}', seqLength=str(last + 1))
            info |= dict(imWidth=str(width), imHeight=str(height), imExt=Path(found[0]['name']).suffix)
            text = ''.join(f'{key}={value}\n' for key, value in info.items())
            write_text(path.parents[1] / 'seqinfo.ini', f'[Sequence]\n{text}')
    write_text(folder / LABELS, ''.join(f'{name}\n' for name in classes))
    return written


def _line(video: str, name: str, frame: int, label: dict[str, Any], number: int, truth: bool) -> str:
    text = str(label['id'])
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f'video {video!r}, frame {name!r}: id {text!r} is no whole number from 1 on, which MOTChallenge needs: '
            'number the tracks first'
        )
    box, marks = label['box2d'], label.get('attributes') or {}
    numbers = [box['x1'], box['y1'], box['x2'] - box['x1'] + 1, box['y2'] - box['y1'] + 1]
    ignored = bool(marks.get('crowd') or marks.get('ignored'))
    if truth:
        numbers += [int(not ignored), number, 1]
    else:
        numbers += [1 if label.get('score') is None else label['score'], number, -1]
    return ','.join([str(frame), str(int(text)), *map(_text, numbers)]) + '\n'


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def from_mot(folder: str | Path, classes: Sequence[str] | None = None, suffix: str = '.jpg') -> Frames:
    """Frames of MOTChallenge files: ``VIDEO/gt/gt.txt``, ``VIDEO/VIDEO.txt`` or ``VIDEO.txt``, or one such file.

    A video has as many frames as its seqinfo.ini says, else as its last line. Frames are named ``VIDEO-0000001.jpg``.

    Args:
        folder: The folder or file.
        classes: Names of the classes 1 and on; None takes those of ``labels.txt``, or one class ``pedestrian``.
        suffix: Of the images' names, where there is no seqinfo.ini.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line cannot be read, or has a class that is not named; the message names file and line.
    """
    folder = Path(folder)
    files = {folder.stem: folder} if folder.is_file() else _files(folder)
    if not files:
        raise FileNotFoundError(f'{folder}: no MOTChallenge files there (VIDEO/gt/gt.txt or VIDEO.txt)')
    if classes is None:
        named = folder / LABELS if folder.is_dir() else folder.with_name(LABELS)
        classes = named.read_text().split('\n') if named.is_file() else ['pedestrian']
        classes = [name for name in classes if name]
    frames = []
    for video, path in sorted(files.items()):
        info = _info(folder / video / 'seqinfo.ini')
        found: dict[int, list[dict]] = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip():
                frame, label = _label(path, number, line, classes)
                found.setdefault(frame, []).append(label)
        last = max([int(info.get('seqLength', 0)), *found])
        ending = info.get('imExt', suffix)
        for index in range(last):
            frame = dict(name=f'{video}-{index + 1:07d}{ending}', videoName=video, frameIndex=index)
            if 'imWidth' in info:
                frame['size'] = dict(width=int(info['imWidth']), height=int(info['imHeight']))
            frames.append(frame | dict(labels=found.get(index + 1, [])))
    return Frames(frames)


def _files(folder: Path) -> dict[str, Path]:
    found = {path.parent.parent.name: path for path in folder.glob('*/gt/gt.txt')}
    found |= {path.stem: path for path in folder.glob('*.txt') if path.name != LABELS}
    return found


def _info(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_file(io.StringIO(path.read_text()))
    return dict(parser['Sequence']) if 'Sequence' in parser else {}


def _label(path: Path, number: int, line: str, classes: Sequence[str]) -> tuple[int, dict[str, Any]]:
    parts = line.replace(',', ' ').split()
    try:
        values = [float(part) for part in parts]
        frame, track = int(values[0]), int(values[1])
        x, y, width, height = values[2:6]
        conf = values[6] if len(values) > 6 else 1.0
        row = int(values[7]) if len(values) > 7 and values[7] > 0 else 1
    except (ValueError, IndexError):
        raise ValueError(
            f'{path}: line {number}: {line!r} is no line of MOTChallenge: frame,id,left,top,width,height,conf,class,...'
        ) from None
    if frame < 1 or row > len(classes):
        what = (
            f'frame {frame}: frames are counted from 1'
            if frame < 1
            else f'class {row} of {len(classes)} named ones'
        )
        raise ValueError(f'{path}: line {number}: {what}')
    label = dict(
        id=str(track),
        category=classes[row - 1],
        box2d=dict(x1=x, y1=y, x2=x + width - 1, y2=y + height - 1),
    )
    is_truth = path.name == 'gt.txt'
    if is_truth and conf == 0:
        label['attributes'] = dict(crowd=True)
    elif not is_truth:
        label['score'] = conf
    return frame, label
