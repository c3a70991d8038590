"""Any model of images by its name, and detection in images, folders, globs and videos.

import mmroad

detect = mmroad.inferencer('faster_rcnn_r50_fpn_3x_det_bdd100k', weights='published')
result = detect('street.jpg')
result.boxes, result.scores, result.names, result.picture
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .media import open_source, read_image, write_image

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.structures import InstanceData
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


def array_pipeline(cfg: Config) -> list[dict]:
    """The steps of a config's test pipeline for an image that is an array (``img``), without its truth.
    Makes the config's scope the default one."""
    from mmengine.registry import init_default_scope

    from .zoo import single_dataset

    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    load, *steps = (dict(step) for step in single_dataset(cfg)['pipeline'])
    steps = [step for step in steps if not step['type'].rpartition('.')[2].startswith('Load')]
    return [dict(load, type=f'{scope}.LoadImageFromNDArray'), *steps]


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

    def __call__(self, image: str | Path | np.ndarray, name: str = '') -> Detections:
        """Detections in one image, a path or a BGR array."""
        if not isinstance(image, np.ndarray):
            name, image = Path(image).name, read_image(image)
        found = self.predict(image, name)
        boxes, scores, labels = (getattr(found, k).numpy() for k in ('bboxes', 'scores', 'labels'))
        names = [self.classes[c] for c in labels]
        ood_scores = found.ood_scores.numpy() if 'ood_scores' in found else None
        picture = self.draw(image, names, boxes, scores)
        return Detections(name, boxes, scores, labels, names, picture, ood_scores)

    def predict(self, image: np.ndarray, name: str) -> InstanceData:
        """What the model finds in a BGR array, best first, on the CPU."""
        import torch

        data = self.pipeline(dict(img=image, img_id=0, file_name=name))
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        with torch.no_grad():
            found = self.model.test_step(batch)[0].pred_instances.cpu()
        return found[found.scores.argsort(descending=True)]

    def draw(self, image: np.ndarray, names: list[str], boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """A copy of the image with the boxes from the threshold on, and their names."""
        from .bdd100k.pictures import draw_labels
        from .bdd100k.scalabel import Box2D, Label

        shown = [
            Label(category=category, box2d=Box2D(*box), score=score)
            for category, box, score in zip(names, boxes.tolist(), scores.tolist())
            if score >= self.threshold
        ]
        return draw_labels(image, shown)

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Iterator[Detections]:
        """Detections in every image of a file, folder, glob or video.

        With ``out_dir``, pictures are written to it and, at the end, ``det.json`` (with ``ood_score``, where
        there is one) and ``det.coco.json``.
        """
        from .bdd100k.format import Prediction, write_predictions

        images, total = open_source(source)
        kept = []
        for name, image in _track(images, total) if progress else images:
            result = self(image, name)
            if out_dir is not None:
                write_image(Path(out_dir) / 'pictures' / name, result.picture)
                lists = (array.tolist() for array in (result.boxes, result.scores, result.labels))
                ood = {} if result.ood_scores is None else dict(ood_score=result.ood_scores.tolist())
                kept.append(Prediction(len(kept), name, *lists, ood))
            yield result
        if out_dir is not None:
            write_predictions(iter(kept), out_dir, len(kept), self.classes)


def _track(images: Iterator, total: int) -> Iterator:
    from rich.progress import track

    return track(images, 'images', total=total)


def inferencer(
    name: str | Config,
    weights: str | Path | None = None,
    device: str = 'cpu',
    threshold: float | None = None,
    **kwargs: Any,
):
    """What runs a model on images: called with one, or its ``run`` with a folder, glob or video.

    Args:
        name, weights, device, kwargs: See ``mmroad.init_model``.
        threshold: Scores from which a box is drawn, or above which anomalies are outlined (default: the
            inferencer's).

    Returns:
        `DetInferencer`; for models with a vocabulary ``mmroad.detic.inference.DeticInferencer``, for anomaly
        segmentation ``mmroad.anomaly.inference.AnomalyInferencer``, for other segmentation
        ``mmroad.rankseg.inference.ImageInferencer``.

    Raises:
        ValueError: A threshold for a model that has none, or a model of videos.
    """
    from .zoo import init_model

    model = init_model(name, weights, device, **kwargs)
    options = {} if threshold is None else dict(threshold=threshold)
    if hasattr(model, 'class_names_of'):
        from .detic.inference import DeticInferencer

        return DeticInferencer(model, **options)
    if hasattr(model, 'set_score'):
        from .anomaly.inference import AnomalyInferencer

        return AnomalyInferencer(model, **options)
    if hasattr(model, 'track_head'):
        raise ValueError('this is a model of videos: mmroad.rankseg.video.inference, tools/infer_video.py')
    if hasattr(model, 'decode_head') or hasattr(model, 'panoptic_head'):
        from .rankseg.inference import ImageInferencer

        if options:
            raise ValueError('a segmentation model gives every pixel a class: there is no threshold')
        return ImageInferencer(model)
    return DetInferencer(model, **options)
