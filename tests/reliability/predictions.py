"""Predictions that are no numbers, and frames that stand twice: told, not scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from children import Attempt

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.format import Prediction, write_predictions
from mmroad.bdd100k.scalabel import LabelFileError


def not_finite(folder: Path, rng: Random) -> Iterator[Attempt]:
    """NaN and infinities in boxes and scores: their image is named, the other detections are written."""
    while True:
        given, bad, whole = [], set(), 0
        for i in range(8):
            numbers = [[rng.random() * 50 for _ in range(5)] for _ in range(rng.randrange(5))]
            for row in numbers:
                if rng.random() < 0.1:
                    row[rng.randrange(5)] = float(rng.choice(('nan', 'inf', '-inf')))
                    bad.add(f'{i}.jpg')
                else:
                    whole += 1
            boxes, scores = [row[:4] for row in numbers], [row[4] for row in numbers]
            given.append(Prediction(i, f'{i}.jpg', boxes, scores, [1] * len(numbers)))
        said = ''
        try:
            write_predictions(given, folder, len(given))
        except ValueError as error:
            said = str(error)
        frames = json.loads((folder / 'det.json').read_text())['frames']
        broken = [] if bool(said) == bool(bad) else [f'of {bad} it says {said!r}']
        if bad and not any(name in said for name in bad):
            broken.append(f'no image of {bad} is named: {said}')
        if sum(len(frame['labels']) for frame in frames) != whole or len(frames) != 8:
            broken.append('det.json does not hold the detections that are whole')
        yield Attempt('files', broken)


def repeated(folder: Path, rng: Random) -> Iterator[Attempt]:
    """A list of frames that a file holds twice, whatever its size, is refused."""
    path = folder / 'labels.json'
    while True:
        frames = [dict(name=f'{i}.jpg', labels=[]) for i in range(rng.choice((1, 30, 3000)))]
        text = json.dumps(frames)
        path.write_text(f'{{"frames": {text}, "x": [{{}}], "frames": {text}}}')
        try:
            found = len(read_columns(path).names)
            broken = [f'{found} frames of {len(frames)} that stand twice']
        except LabelFileError as error:
            broken = [] if path.name in str(error) else [f'no name: {error}']
        yield Attempt('files', broken)
