"""Detection in images, folders, globs and videos.

import mmroad

detect = mmroad.inferencer('faster_rcnn_r50_fpn_3x_det_bdd100k', weights='published')
result = detect('street.jpg')
result.boxes, result.scores, result.names, result.picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from mmengine.dataset import Compose

from ..bdd100k.format import Prediction, write_predictions
from ..bdd100k.pictures import draw_labels
from ..bdd100k.scalabel import Box2D, Label
from ..files.images import ImageError
from ..files.sources import Item, Source
from .base import Collector, Inferencer, array_pipeline, transformed
from .results import Object, Result

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.structures import InstanceData
    from torch import nn


@dataclass(repr=False, eq=False)
class Detections(Result):
    """One image's detections, best first."""

    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels of the image, x2 exclusive
    scores: np.ndarray  #: (n,) in [0, 1]
    labels: np.ndarray  #: (n,) rows of the model's classes
    names: list[str]  #: their class names
    masks: np.ndarray | None = None  #: (n, H, W) bool, of models that have masks
    features: np.ndarray | None = None  #: (n, 512) unit embeddings of the regions, of open vocabularies
    ood_scores: np.ndarray | None = None  #: (n,) of detectors that have them (AbeT's), higher = less known

    def objects(self) -> list[Object]:
        """The detections."""
        ood = (
            [{}] * len(self.boxes)
            if self.ood_scores is None
            else [dict(ood_score=score) for score in self.ood_scores.tolist()]
        )
        masks = [None] * len(self.boxes) if self.masks is None else self.masks
        return [
            Object(name, label, tuple(box), score, mask, extras)
            for name, label, box, score, mask, extras in zip(
                self.names, self.labels.tolist(), self.boxes.tolist(), self.scores.tolist(), masks, ood
            )
        ]

    def __len__(self) -> int:
        return len(self.boxes)


class DetInferencer(Inferencer[Detections]):
    """Runs a detector on images, one at a time.

    A run writes ``pictures/NAME`` and, at the end, ``det.json`` (BDD100K's, with ``ood_score`` where there is one)
    and ``det.coco.json``.

    Args:
        model, options: See `Inferencer`.
        threshold: Scores from which a box is drawn; the result holds all.
    """

    kind = 'detection'
    result = Detections
    parallel = True

    def __init__(self, model: nn.Module | Config | str, threshold: float = 0.3, **options: Any) -> None:
        super().__init__(model, **options)
        self.threshold, self.pipeline = threshold, Compose(array_pipeline(self.model.cfg))
        self.classes = self.model.dataset_meta['classes']

    def prepare(self, image: np.ndarray, name: str) -> dict[str, Any]:
        """See `Inferencer.prepare`."""
        return transformed(self.pipeline, dict(img=image, img_id=0, file_name=name), name)

    def result_of(self, sample: DetDataSample, image: np.ndarray, name: str) -> Detections:
        """An image's detections, drawn."""
        found = finite_and_sorted(sample.pred_instances.cpu(), name)
        boxes, scores, labels = (getattr(found, k).numpy() for k in ('bboxes', 'scores', 'labels'))
        masks, features, ood = (
            found.get(k).numpy() if k in found else None for k in ('masks', 'features', 'ood_scores')
        )
        names = [self.classes[c] for c in labels]
        canvas = image if masks is None else paint(image, masks[scores >= self.threshold], labels)
        picture = self.draw(canvas, names, boxes, scores)
        return self.result(name, boxes, scores, labels, names, masks, features, ood, picture=picture)

    def draw(self, image: np.ndarray, names: list[str], boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """A copy of the image with the boxes from the threshold on, and their names."""
        shown = [
            Label(category=category, box2d=Box2D(*box), score=score)
            for category, box, score in zip(names, boxes.tolist(), scores.tolist())
            if score >= self.threshold
        ]
        return draw_labels(image, shown)

    def collectors(self, source: Source, out_dir: str | Path) -> list[Collector]:
        """``det.json`` and ``det.coco.json``."""
        return [Predictions(out_dir, self.classes)]


class Predictions:
    """Detections of a run, for ``det.json`` and ``det.coco.json``."""

    FILES: ClassVar[tuple[str, ...]] = ('det.json', 'det.coco.json')

    def __init__(self, out_dir: str | Path, classes: Sequence[str]) -> None:
        self.out_dir, self.classes = out_dir, classes
        self._kept: list[Prediction] = []

    def add(self, result: Detections, item: Item | None = None) -> None:
        """Keep an image's boxes, scores, labels and, where it has them, ``ood_scores``."""
        boxes, scores, labels = (array.tolist() for array in (result.boxes, result.scores, result.labels))
        extras = {} if result.ood_scores is None else dict(ood_score=result.ood_scores.tolist())
        self._kept.append(Prediction(len(self._kept), result.name, boxes, scores, labels, extras))

    def close(self) -> None:
        """Write both files, where there is an image."""
        if self._kept:
            write_predictions(iter(self._kept), self.out_dir, len(self._kept), self.classes)


def finite_and_sorted(found: InstanceData, name: str) -> InstanceData:
    """An image's detections, best first.

    Raises:
        ImageError: Boxes or scores are not finite.
    """
    numbers = [found.get(key) for key in ('bboxes', 'scores', 'ood_scores') if key in found]
    bad = sum((~x.isfinite()).reshape(len(found), -1).any(1) for x in numbers) > 0
    if bad.any():
        raise ImageError(
            f'{name or "image"}: {int(bad.sum())} of {len(found)} detections have a NaN or infinite box or score: '
            'the training diverged, or the weights are damaged'
        )
    return found[found.scores.argsort(descending=True)]


def paint(image: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with masks (n, H, W), best first, in colors of their classes."""
    canvas = image.astype(np.float32)
    for mask, label in reversed(list(zip(masks, labels.tolist()))):
        color = np.random.default_rng(label).integers(40, 255, 3)
        canvas[mask] = 0.55 * canvas[mask] + 0.45 * color
    return canvas.astype(np.uint8)
