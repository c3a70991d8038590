"""Anomaly segmentation of images, folders, globs and videos.

import mmroad

inferencer = mmroad.inferencer('rba_swin_b_1dl_ood_coco', 'rba.pth')
result = inferencer('street.jpg')
result.classes, result.anomaly, result.picture
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose

from ..anomaly.io import save_map
from ..anomaly.pictures import anomaly_picture
from ..files import write_image
from .base import Inferencer, array_pipeline, transformed
from .pictures import with_legend
from .results import Object, Result, box_of

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(repr=False, eq=False)
class AnomalyResult(Result):
    """One image's result; maps are at the image's size. Its objects are the connected regions above ``threshold``,
    none where that is None."""

    classes: np.ndarray  #: (H, W) uint8
    anomaly: np.ndarray  #: (H, W) float32, higher is more anomalous
    threshold: float | None = None  #: above it a pixel is anomalous

    FOLDERS: ClassVar = dict(anomaly='', classes='.png', pictures='.jpg')

    def objects(self) -> list[Object]:
        """The connected regions (8 neighbors) above the threshold, scored by their largest anomaly."""
        if self.threshold is None:
            return []
        above = (self.anomaly > self.threshold).astype(np.uint8)
        count, regions = cv2.connectedComponents(above, connectivity=8)
        masks = [regions == number for number in range(1, count)]
        return [Object('anomaly', 0, box_of(m), float(self.anomaly[m].max()), m) for m in masks]

    def write(self, kind: str, path: Path) -> None:
        if kind == 'anomaly':
            save_map(path, self.anomaly.astype(np.float16))
        else:
            write_image(path, self.classes if kind == 'classes' else self.picture)


class AnomalyInferencer(Inferencer[AnomalyResult]):
    """Runs an anomaly segmentor on images, one at a time.

    A run writes ``pictures/NAME.jpg``, ``classes/NAME.png`` (uint8) and ``anomaly/NAME.npz`` (``anomaly``, float16).

    Args:
        model, options: See `Inferencer`.
        score: Another anomaly score than the config's (``mmroad.rba.scores``, ``mmroad.abet.scores``).
        scale: The heat map's fixed scale (default: the score's).
        threshold: Scores above it are outlined, and are the objects of a result.
    """

    kind = 'anomaly'
    result = AnomalyResult

    def __init__(
        self,
        model: torch.nn.Module | Config | str,
        score: str | None = None,
        scale: tuple[float, float] | None = None,
        threshold: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        if score is not None:
            self.model.set_score(score)
        self.scale, self.threshold = scale, threshold
        self.pipeline = Compose(array_pipeline(self.model.cfg))
        self.meta = self.model.dataset_meta

    def prepare(self, image: np.ndarray, name: str) -> dict[str, Any]:
        """See `Inferencer.prepare`."""
        return transformed(self.pipeline, dict(img=image), name)

    def result_of(self, sample: Any, image: np.ndarray, name: str) -> AnomalyResult:
        """The classes and the anomaly map of an image."""
        if 'anomaly_map' not in sample:
            raise ValueError('this model computes no anomaly score: name one (score=..., test_cfg.scores)')
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        anomaly = sample.anomaly_map.data[0].cpu().numpy()
        scale, palette = self.scale or sample.anomaly_scale, self.meta['palette']
        picture = anomaly_picture(image, anomaly, scale, self.threshold, classes, palette)
        picture = with_legend(picture, classes, self.meta['classes'], palette)
        return AnomalyResult(name, classes, anomaly, self.threshold, picture=picture)
