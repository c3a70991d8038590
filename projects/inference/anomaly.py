"""Anomaly segmentation of images, folders, globs and videos.

import mmroad

inferencer = mmroad.inferencer('rba_swin_b_1dl_ood_coco', 'rba.pth')
result = inferencer('street.jpg')
result.classes, result.anomaly, result.picture
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose

from ..anomaly.io import save_map
from ..anomaly.pictures import anomaly_picture
from ..files import write_image
from ..files.outputs import RunFolder
from ..files.sources import Item, open_source
from .base import Run, array_pipeline, given_image, prepared, run_over

if TYPE_CHECKING:
    from PIL.Image import Image


class AnomalyResult(NamedTuple):
    """One image's result; maps are at the image's size."""

    name: str  # the file's name, NAME_FRAME.jpg for a video, '' for an array
    classes: np.ndarray  # (H, W) uint8
    anomaly: np.ndarray  # (H, W) float32, higher is more anomalous
    picture: np.ndarray  # see `anomaly_picture`


class AnomalyInferencer:
    """Runs an anomaly segmentor on images as they come.

    Args:
        model: A built model with its config as ``model.cfg`` (``mmroad.init_model``).
        score: Another anomaly score than the config's (``mmroad.rba.scores``, ``mmroad.abet.scores``).
        scale: The heat map's fixed scale (default: the score's).
        threshold: Scores above it are outlined.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        score: str | None = None,
        scale: tuple[float, float] | None = None,
        threshold: float | None = None,
    ) -> None:
        self.model = model.eval()
        if score is not None:
            model.set_score(score)
        self.scale, self.threshold = scale, threshold
        self.pipeline = Compose(array_pipeline(model.cfg))
        self.palette = model.dataset_meta['palette']

    @torch.inference_mode()
    def __call__(self, image: str | Path | np.ndarray | Image, name: str = '') -> AnomalyResult:
        """One image: a file, a BGR uint8 array (H, W, 3) or a grey one, or a Pillow image."""
        name, image = given_image(image, name)
        sample = self.model.test_step(prepared(self.pipeline, dict(img=image), name))[0]
        if 'anomaly_map' not in sample:
            raise ValueError('this model computes no anomaly score: name one (score=..., test_cfg.scores)')
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        anomaly = sample.anomaly_map.data[0].cpu().numpy()
        scale = self.scale or sample.anomaly_scale
        picture = anomaly_picture(image, anomaly, scale, self.threshold, classes, self.palette)
        return AnomalyResult(name, classes, anomaly, picture)

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Run[AnomalyResult]:
        """Results of an image, a folder, a glob or a video, one at a time; see `run_over`.

        Args:
            out_dir: Write ``pictures/NAME.jpg``, ``classes/NAME.png`` (uint8) and ``anomaly/NAME.npz``
                (``anomaly``, float16) below it.
            progress: Show a progress bar.
        """
        source = open_source(source)
        if out_dir is None:
            return run_over(source, self, progress=progress)
        folder = RunFolder(out_dir, source, pictures='.jpg', classes='.png', anomaly='')

        def write(result: AnomalyResult, item: Item) -> None:
            save_map(folder.path('anomaly', result.name), result.anomaly.astype(np.float16))
            write_image(folder.path('classes', result.name), result.classes)
            write_image(folder.path('pictures', result.name), result.picture)

        return run_over(source, self, write, progress=progress)
