"""Predictions on disk: det.json (Scalabel, what ``bdd100k.eval.run`` reads) and det.coco.json.

Every rank streams its predictions to a part file in a folder of the run's own; the parts are merged in the
dataset's order, frame by frame, into files that appear whole. Nothing is gathered in memory, and the result
does not depend on the number of ranks.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..files.replacing import remove_dead_parts, replacing
from .scalabel import DET_CLASSES

#: The folder of the parts where a run does not name its own.
PARTS = '.parts'


class Prediction(msgspec.Struct, array_like=True):
    """The detections of one image."""

    index: int  #: the image's place in the dataset
    name: str
    bboxes: list[list[float]]  #: x1, y1, x2, y2 in pixels of the original image, x2 exclusive
    scores: list[float]
    labels: list[int]  #: rows of the classes
    extras: dict[str, list[float]] = {}  #: further numbers of each detection, written under these names


_ENCODER = msgspec.msgpack.Encoder()


class PartWriter:
    """Streams one rank's predictions to ``folder/RUN/RANK``.

    Args:
        run: Name of the run's own folder, the same in all its ranks: several may write into one ``folder``.
    """

    def __init__(self, folder: str | Path, rank: int, run: str = PARTS) -> None:
        self.path = _part(folder, rank, run)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if rank == 0:
            remove_dead_parts(Path(folder))
            atexit.register(
                shutil.rmtree, self.path.parent, ignore_errors=True
            )  # also where an error ends the run
        self._file = open(self.path, 'wb')

    def add(self, prediction: Prediction) -> None:
        record = _ENCODER.encode(prediction)
        self._file.write(len(record).to_bytes(8, 'little') + record)

    def close(self) -> None:
        self._file.close()


def _part(folder: str | Path, rank: int, run: str) -> Path:
    return Path(folder) / run / f'{rank}'


def read_parts(
    folder: str | Path, world_size: int, run: str = PARTS, kind: type[Prediction] = Prediction
) -> Iterator[Prediction]:
    """The predictions of all parts in the order of their index, an index that is in several once, as the first
    rank has it (samplers repeat images to give every rank as many)."""
    decoder = msgspec.msgpack.Decoder(kind)
    places: dict[int, tuple] = {}
    files = []
    try:
        for rank in range(world_size):
            path = _part(folder, rank, run)
            if not path.is_file():
                raise FileNotFoundError(
                    f'{path}: no predictions of rank {rank}; all machines must reach {folder}'
                )
            files.append(open(path, 'rb'))
        for rank, file in enumerate(files):
            while head := file.read(8):
                size = int.from_bytes(head, 'little')
                start = file.tell()
                record = file.read(size)
                if len(head) < 8 or len(record) < size:
                    raise OSError(f'{file.name} ends inside a record: its rank was interrupted')
                found = decoder.decode(record)
                *_, name = places.setdefault(found.index, (rank, start, size, found.name))
                check_same(found, name)
        for _, (rank, start, size, _) in sorted(places.items()):
            files[rank].seek(start)
            yield decoder.decode(files[rank].read(size))
    finally:
        for file in files:
            file.close()


def check_same(prediction: Prediction, name: str) -> None:
    """Raise ValueError where a prediction is of another image than ``name``, which has its index."""
    if prediction.name != name:
        raise ValueError(
            f'{name!r} and {prediction.name!r} both are image {prediction.index} of the data set: they are of several '
            'data sets in one loader; test these one after another'
        )


def finite(prediction: Prediction) -> Prediction:
    """A prediction without the detections of which a box, score or further number is NaN or infinite."""
    numbers = [
        *np.array(prediction.bboxes, float).reshape(-1, 4).T,
        prediction.scores,
        *prediction.extras.values(),
    ]
    keep = np.isfinite(np.array(numbers, float)).all(0)
    if keep.all():
        return prediction

    def kept(values: list) -> list:
        return [value for value, k in zip(values, keep) if k]

    return Prediction(
        prediction.index,
        prediction.name,
        kept(prediction.bboxes),
        kept(prediction.scores),
        kept(prediction.labels),
        {name: kept(values) for name, values in prediction.extras.items()},
    )


def not_finite(counts: Mapping[str, int], where: object) -> str:
    """A sentence on images (name: detections) whose predictions are not all finite."""
    shown = ', '.join(f'{name!r} ({count})' for name, count in list(counts.items())[:3])
    return (
        f'{where}: {sum(counts.values())} detections of {len(counts)} images have a NaN or infinite box or score and '
        f'are left out: {shown}{", ..." if len(counts) > 3 else ""}. Training diverged, or the weights are damaged.'
    )


def write_predictions(
    predictions: Iterable[Prediction],
    folder: str | Path,
    size: int,
    classes: Sequence[str] = DET_CLASSES,
    image_ids: Sequence[int] | None = None,
    category_ids: Mapping[str, int] | None = None,
) -> tuple[Path, Path]:
    """Write det.json and det.coco.json from predictions in the dataset's order.

    Args:
        predictions: One an image.
        folder: The output folder.
        size: The number of images in the dataset.
        classes: The class names.
        image_ids: Ids of the images in det.coco.json by their index in the dataset, those of the user's own COCO
            file; None counts from 1.
        category_ids: Ids of the classes there by name; of others (None: of all) 1 to 10 where all classes are
            BDD100K's, in its order, else their place in ``classes``, from 1.

    Raises:
        RuntimeError: There are not ``size`` predictions; nothing is written.
        ValueError: A label is of no class, and nothing is written. Or detections are not finite, or images share
            a name: the rest is written first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = _category_ids(classes, category_ids or {})
    targets = folder / 'det.json', folder / 'det.coco.json'
    broken: dict[str, int] = {}
    names: dict[str, int] = {}
    with replacing(targets[0]) as first, replacing(targets[1]) as second:
        with open(first, 'wb') as scalabel, open(second, 'wb') as coco:
            scalabel.write(b'{"frames": [')
            coco.write(b'[')
            frames = labels = 0
            for given in predictions:
                prediction = finite(given)
                if prediction is not given:
                    broken[given.name] = len(given.scores) - len(prediction.scores)
                names[given.name] = names.get(given.name, 0) + 1
                records = _labels(prediction, classes, labels)
                frame = _frame(prediction.name, [r for r, _ in records])
                scalabel.write((b',\n' if frames else b'\n') + msgspec.json.encode(frame))
                for record, bbox in records:
                    result = dict(
                        image_id=prediction.index + 1
                        if image_ids is None
                        else int(image_ids[prediction.index]),
                        category_id=numbers[record['category']],
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
    said = [not_finite(broken, targets[0])] if broken else []
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        said.append(
            f'{targets[0]}: {len(repeated)} names are carried by several images, such as {repeated[0]!r}; evaluators '
            'keep the last of them. Give images names of their own.'
        )
    if said:
        raise ValueError('\n'.join(said))
    return targets


def _category_ids(classes: Sequence[str], given: Mapping[str, int]) -> dict[str, int]:
    table = DET_CLASSES if set(classes) <= set(DET_CLASSES) else tuple(classes)
    spare = max(given.values(), default=0)
    return {name: given.get(name, spare + table.index(name) + 1) for name in classes}


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
    beyond = [label for label in prediction.labels if not 0 <= label < len(classes)]
    if beyond:
        raise ValueError(
            f'{prediction.name}: label {beyond[0]} of {len(classes)} classes ({", ".join(classes)}): the model has '
            'more classes than its data set'
        )
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
