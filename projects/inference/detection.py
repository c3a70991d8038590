"""Detection in images, folders, globs and videos.

import mmroad

detect = mmroad.inferencer('faster_rcnn_r50_fpn_3x_det_bdd100k', weights='published')
result = detect('street.jpg')
result.boxes, result.scores, result.names, result.picture
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bdd100k.format import Prediction, write_predictions
from ..files.images import ImageError, write_image
from ..files.outputs import RunFolder
from ..files.sources import Item, open_source
from .base import Run, array_pipeline, given_image, prepared, run_over

if TYPE_CHECKING:
    from mmengine.structures import InstanceData
    from PIL.Image import Image
    from torch import nn


class Detections(NamedTuple):
    """One image's detections, best first."""

    name: str
    boxes: np.ndarray  #: (n, 4) x1, y1, x2, y2 in pixels of the image, x2 exclusive
    scores: np.ndarray  #: (n,) in [0, 1]
    labels: np.ndarray  #: (n,) rows of the model's classes
    names: list[str]  #: their class names
    picture: np.ndarray  #: BGR uint8, the image with boxes from the threshold on
    ood_scores: np.ndarray | None = None  #: (n,) of detectors that have them (AbeT's), higher = less known


class DetInferencer:
    """Runs a detector on images as they come.

    Args:
        model: A detector with its config as ``model.cfg`` (``mmroad.init_model``).
        threshold: Scores from which a box is drawn; the result holds all.
    """

    def __init__(self, model: nn.Module, threshold: float = 0.3) -> None:
        from mmengine.dataset import Compose

        self.model, self.threshold, self.pipeline = model, threshold, Compose(array_pipeline(model.cfg))
        self.classes = model.dataset_meta['classes']

    def __call__(self, image: str | Path | np.ndarray | Image, name: str = '') -> Detections:
        """Detections in one image: a path, a BGR or grey uint8 array, or a Pillow image."""
        name, image = given_image(image, name)
        found = self.predict(image, name)
        boxes, scores, labels = (getattr(found, k).numpy() for k in ('bboxes', 'scores', 'labels'))
        names = [self.classes[c] for c in labels]
        ood_scores = found.ood_scores.numpy() if 'ood_scores' in found else None
        picture = self.draw(image, names, boxes, scores)
        return Detections(name, boxes, scores, labels, names, picture, ood_scores)

    def predict(self, image: np.ndarray, name: str) -> InstanceData:
        """What the model finds in a BGR array, best first, on the CPU.

        Raises:
            ImageError: The image cannot be prepared, or boxes or scores are not finite.
        """
        import torch

        batch = prepared(self.pipeline, dict(img=image, img_id=0, file_name=name), name)
        with torch.inference_mode():
            found = self.model.test_step(batch)[0].pred_instances.cpu()
        numbers = [found.get(key) for key in ('bboxes', 'scores', 'ood_scores') if key in found]
        bad = sum((~x.isfinite()).reshape(len(found), -1).any(1) for x in numbers) > 0
        if bad.any():
            raise ImageError(
                f'{name or "image"}: {int(bad.sum())} of {len(found)} detections have a NaN or infinite box or score: '
                'the training diverged, or the weights are damaged'
            )
        return found[found.scores.argsort(descending=True)]

    def draw(self, image: np.ndarray, names: list[str], boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """A copy of the image with the boxes from the threshold on, and their names."""
        from ..bdd100k.pictures import draw_labels
        from ..bdd100k.scalabel import Box2D, Label

        shown = [
            Label(category=category, box2d=Box2D(*box), score=score)
            for category, box, score in zip(names, boxes.tolist(), scores.tolist())
            if score >= self.threshold
        ]
        return draw_labels(image, shown)

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Run[Detections]:
        """Detections in every image of a file, folder, glob or video; see `run_over`.

        With ``out_dir``, pictures are written to it and, at the end, ``det.json`` (with ``ood_score``, where
        there is one) and ``det.coco.json``.
        """
        source = open_source(source)
        if out_dir is None:
            return run_over(source, self, progress=progress)
        folder = RunFolder(out_dir, source, Predictions.FILES, pictures=None)
        predictions = Predictions(out_dir, self.classes)

        def write(result: Detections, item: Item) -> None:
            predictions.add(result)
            write_image(folder.path('pictures', result.name), result.picture)

        return run_over(source, self, write, predictions.write, progress)


class Predictions:
    """Detections of a run, for ``det.json`` and ``det.coco.json``."""

    FILES = ('det.json', 'det.coco.json')

    def __init__(self, out_dir: str | Path, classes: Sequence[str]) -> None:
        self.out_dir, self.classes, self._kept = out_dir, classes, []

    def add(self, result: Any) -> None:
        """Keep an image's boxes, scores, labels and, where it has them, ``ood_scores``."""
        lists = (array.tolist() for array in (result.boxes, result.scores, result.labels))
        ood = getattr(result, 'ood_scores', None)
        extras = {} if ood is None else dict(ood_score=ood.tolist())
        self._kept.append(Prediction(len(self._kept), result.name, *lists, extras))

    def write(self) -> None:
        """Write both files, where there is an image."""
        if self._kept:
            write_predictions(iter(self._kept), self.out_dir, len(self._kept), self.classes)
