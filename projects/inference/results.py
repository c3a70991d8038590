"""What inferencers give: results with one set of conversions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..files import OutputNames, write_image

if TYPE_CHECKING:
    import pandas
    import supervision


class Object(NamedTuple):
    """One object of a result: a detection, a segment, a class's region."""

    category: str
    label: int  #: row of the model's classes
    box: tuple[float, float, float, float]  #: x1, y1, x2, y2 in pixels of the image, x2 and y2 exclusive
    score: float | None = None  #: in [0, 1]; None where the model gives none
    mask: np.ndarray | None = None  #: (H, W) bool
    extras: dict[str, Any] = {}  #: further values by name, such as ``ood_score`` or ``track_id``


@dataclass(repr=False, eq=False)
class Result:
    """One image's result. ``len`` is the number of its objects."""

    name: str  #: the file's name, ``NAME_FRAME.jpg`` of a video's frame, ``''`` of an array
    picture: np.ndarray = field(kw_only=True)  #: (H, W, 3) BGR uint8, the image with what was found

    #: The subfolders that a result's files go to, with their suffixes (None: that of the image).
    FOLDERS: ClassVar[dict[str, str | None]] = dict(pictures=None)

    def objects(self) -> list[Object]:
        """The objects of the image."""
        raise NotImplementedError(f'{type(self).__name__} lists no objects')

    def __len__(self) -> int:
        return len(self.objects())

    def __bool__(self) -> bool:
        return True  # also where nothing was found

    def __repr__(self) -> str:
        counts = Counter(o.category for o in self.objects()).most_common()
        shown = ', '.join(f'{count} {name}' for name, count in counts[:5]) or 'nothing'
        more = f', {len(counts) - 5} other classes' if len(counts) > 5 else ''
        return f'{type(self).__name__}({self.name or "array"}: {shown}{more})'

    def write(self, kind: str, path: Path) -> None:
        """Write what goes into a subfolder of `FOLDERS`."""
        write_image(path, self.picture)

    def save(self, out_dir: str | Path) -> list[Path]:
        """Write the result's files, each into its subfolder of ``out_dir``; returns their paths."""
        written = []
        for kind, suffix in self.FOLDERS.items():
            name = self.name or 'image.jpg'
            path = OutputNames(Path(out_dir) / kind).path(name, suffix)
            path = path if path.suffix or suffix == '' else path.with_suffix('.jpg')
            self.write(kind, path)
            written.append(path)
        return written

    def to_coco(self, image_id: int = 1) -> list[dict[str, Any]]:
        """Records of COCO's result format: ``category_id`` is the label + 1, ``bbox`` x, y, width, height, and
        ``segmentation`` a compressed run-length code."""
        records = []
        for o in self.objects():
            x1, y1, x2, y2 = o.box
            record = dict(image_id=image_id, category_id=o.label + 1, bbox=[x1, y1, x2 - x1, y2 - y1])
            if o.score is not None:
                record['score'] = o.score
            if o.mask is not None:
                record['segmentation'] = _run_lengths(o.mask)
            records.append(record | o.extras)
        return records

    def to_scalabel(self) -> dict[str, Any]:
        """A frame of Scalabel's format, BDD100K's: ``box2d`` with inclusive x2, y2, masks as ``rle``."""
        labels = []
        for number, o in enumerate(self.objects()):
            x1, y1, x2, y2 = o.box
            label = dict(
                id=str(number),
                category=o.category,
                score=o.score,
                box2d=dict(x1=x1, y1=y1, x2=x2 - 1, y2=y2 - 1),
            )
            if o.mask is not None:
                label['rle'] = _run_lengths(o.mask)
            labels.append(label | o.extras)
        return dict(name=self.name, labels=labels)

    def to_pandas(self) -> pandas.DataFrame:
        """A table with one row an object (needs the package pandas)."""
        import pandas

        rows = [
            dict(
                image=self.name, category=o.category, label=o.label, score=o.score, **_corners(o), **o.extras
            )
            for o in self.objects()
        ]
        columns = ['image', 'category', 'label', 'score', 'x1', 'y1', 'x2', 'y2']
        return pandas.DataFrame(rows, columns=None if rows else columns)

    def to_supervision(self) -> supervision.Detections:
        """``supervision.Detections`` (needs the package supervision)."""
        import supervision

        found = self.objects()
        if not found:
            return supervision.Detections.empty()
        masks = [o.mask for o in found if o.mask is not None]
        scores = [np.nan if o.score is None else o.score for o in found]
        return supervision.Detections(
            xyxy=np.array([o.box for o in found], np.float32),
            mask=np.stack(masks) if len(masks) == len(found) else None,
            confidence=None if np.isnan(scores).all() else np.array(scores, np.float32),
            class_id=np.array([o.label for o in found]),
            data=dict(class_name=np.array([o.category for o in found])),
        )


def regions(labels: np.ndarray, names: dict[int, str]) -> list[Object]:
    """The objects of a map (H, W): of each value that has a name the pixels, as one object with its bounding box."""
    found = []
    for value in np.unique(labels).tolist():
        if value in names:
            mask = labels == value
            found.append(Object(names[value], value, box_of(mask), mask=mask))
    return found


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The bounding box of a mask (H, W) that is not empty: x1, y1, x2, y2, exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _corners(o: Object) -> dict[str, float]:
    return dict(zip(('x1', 'y1', 'x2', 'y2'), o.box))


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=list(code['size']), counts=code['counts'].decode())
