"""Predictions on disk: det.json (Scalabel, what ``bdd100k.eval.run`` reads) and det.coco.json.

Every rank streams its predictions to a part file; the parts are merged in the dataset's order, frame
by frame, into a temporary file that is then renamed. Nothing is gathered in memory, and the result
does not depend on the number of ranks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from .scalabel import DET_CLASSES


class Prediction(msgspec.Struct, array_like=True):
    """The detections of one image."""

    index: int  #: the image's place in the dataset
    name: str
    bboxes: list[list[float]]  #: x1, y1, x2, y2 in pixels of the original image, x2 exclusive
    scores: list[float]
    labels: list[int]  #: rows of the classes
    extras: dict[str, list[float]] = {}  #: further numbers of each detection, written under these names


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Prediction)


class PartWriter:
    """Streams one rank's predictions to ``folder/.parts/RANK``."""

    def __init__(self, folder: str | Path, rank: int) -> None:
        self.path = _part(folder, rank)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, 'wb')

    def add(self, prediction: Prediction) -> None:
        record = _ENCODER.encode(prediction)
        self._file.write(len(record).to_bytes(8, 'little') + record)

    def close(self) -> None:
        self._file.close()


def _part(folder: str | Path, rank: int) -> Path:
    return Path(folder) / '.parts' / f'{rank}'


def read_parts(folder: str | Path, world_size: int) -> Iterator[Prediction]:
    """The predictions of all parts in the order of their index, an index that is in several once
    (samplers repeat images to give every rank as many)."""
    places = {}
    files = []
    try:
        for rank in range(world_size):
            if not _part(folder, rank).is_file():
                raise FileNotFoundError(
                    f'{_part(folder, rank)}: no predictions of rank {rank}; all machines must reach {folder}'
                )
            files.append(open(_part(folder, rank), 'rb'))
        for rank, file in enumerate(files):
            while head := file.read(8):
                size = int.from_bytes(head, 'little')
                start = file.tell()
                record = file.read(size)
                if len(head) < 8 or len(record) < size:
                    raise OSError(f'{_part(folder, rank)} ends inside a record: its rank was interrupted')
                places.setdefault(_DECODER.decode(record).index, (rank, start, size))
        for _, (rank, start, size) in sorted(places.items()):
            files[rank].seek(start)
            yield _DECODER.decode(files[rank].read(size))
    finally:
        for file in files:
            file.close()


def merge_parts(
    folder: str | Path, world_size: int, size: int, classes: Sequence[str] = DET_CLASSES
) -> tuple[Path, Path]:
    """Merge all ranks' parts into ``folder/det.json`` and ``folder/det.coco.json`` and remove them.

    Args:
        folder: The output folder.
        world_size: The number of parts.
        size: The number of images in the dataset.
        classes: The class names.

    Raises:
        RuntimeError: Images of the dataset have no prediction; nothing is written.
    """
    folder = Path(folder)
    paths = write_predictions(read_parts(folder, world_size), folder, size, classes)
    for rank in range(world_size):
        _part(folder, rank).unlink()
    if not any((folder / '.parts').iterdir()):
        (folder / '.parts').rmdir()
    return paths


def write_predictions(
    predictions: Iterator[Prediction], folder: str | Path, size: int, classes: Sequence[str] = DET_CLASSES
) -> tuple[Path, Path]:
    """Write det.json and det.coco.json from predictions in the dataset's order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    targets = folder / 'det.json', folder / 'det.coco.json'
    parts = [t.with_name(f'.{t.name}.{os.getpid()}.tmp') for t in targets]
    category_id = {name: i + 1 for i, name in enumerate(DET_CLASSES)}
    try:
        with open(parts[0], 'wb') as scalabel, open(parts[1], 'wb') as coco:
            scalabel.write(b'{"frames": [')
            coco.write(b'[')
            frames = labels = 0
            for prediction in predictions:
                records = _labels(prediction, classes, labels)
                frame = _frame(prediction.name, [r for r, _ in records])
                scalabel.write((b',\n' if frames else b'\n') + msgspec.json.encode(frame))
                for record, bbox in records:
                    result = dict(
                        image_id=prediction.index + 1,
                        category_id=category_id.get(
                            record['category'], classes.index(record['category']) + 1
                        ),
                        bbox=bbox,
                        score=record['score'],
                    )
                    coco.write((b',\n' if labels else b'\n') + msgspec.json.encode(result))
                    labels += 1
                frames += 1
            if frames != size:
                raise RuntimeError(
                    f'{frames} of {size} images have predictions: a rank ended early; {targets[0]} is not written'
                )
            scalabel.write(b'\n], "groups": null, "config": null}\n')
            coco.write(b'\n]\n')
        for part, target in zip(parts, targets):
            os.replace(part, target)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return targets


def _frame(name: str, labels: list[dict]) -> dict:
    keys = (
        'url',
        'videoName',
        'intrinsics',
        'extrinsics',
        'attributes',
        'timestamp',
        'frameIndex',
        'size',
    )
    return dict(name=name, **dict.fromkeys(keys), labels=labels)


def _labels(prediction: Prediction, classes: Sequence[str], first: int) -> list[tuple[dict, list[float]]]:
    """Scalabel labels with COCO boxes [x, y, w, h]; ids count on from ``first``."""
    boxes = np.array(prediction.bboxes, float).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    inclusive = boxes.copy()
    inclusive[:, 2:] += boxes[:, :2] - 1
    records = []
    for i, (x1, y1, x2, y2) in enumerate(inclusive.tolist()):
        record = dict(
            id=str(first + i),
            index=None,
            manualShape=None,
            manualAttributes=None,
            score=prediction.scores[i],
            attributes=None,
            category=classes[prediction.labels[i]],
            box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2),
            box3d=None,
            poly2d=None,
            rle=None,
            graph=None,
        )
        record.update({key: values[i] for key, values in prediction.extras.items()})
        records.append((record, boxes[i].tolist()))
    return records
