"""Anomaly segmentation of images, folders, globs and videos.

import mmroad

inferencer = mmroad.inferencer('rba_swin_b_1dl_ood_coco', 'rba.pth')
result = inferencer('street.jpg')
result.classes, result.anomaly, result.picture
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose

from mmroad.inference import array_pipeline
from mmroad.media import open_source, read_image, write_image

from .io import save_map
from .pictures import anomaly_picture


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

    @torch.no_grad()
    def __call__(self, image: str | Path | np.ndarray, name: str = '') -> AnomalyResult:
        """One image: a file or a BGR uint8 array (H, W, 3)."""
        if not isinstance(image, np.ndarray):
            name, image = name or Path(image).name, read_image(image)
        data = self.pipeline(dict(img=image))
        sample = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]
        if 'anomaly_map' not in sample:
            raise ValueError('this model computes no anomaly score: name one (score=..., test_cfg.scores)')
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        anomaly = sample.anomaly_map.data[0].cpu().numpy()
        scale = self.scale or sample.anomaly_scale
        picture = anomaly_picture(image, anomaly, scale, self.threshold, classes, self.palette)
        return AnomalyResult(name, classes, anomaly, picture)

    def run(self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True) -> Iterator:
        """Results of an image, a folder, a glob or a video, one at a time.

        Args:
            out_dir: Write ``pictures/NAME.jpg``, ``classes/NAME.png`` (uint8) and ``anomaly/NAME.npz``
                (``anomaly``, float16) below it.
            progress: Show a progress bar.
        """
        from rich.progress import track

        frames, total = open_source(source)
        for name, image in track(frames, total=total, description=str(source), disable=not progress):
            result = self(image, name)
            if out_dir is not None:
                write(result, Path(out_dir))
            yield result


def write(result: AnomalyResult, folder: Path) -> None:
    """Write a result's files, each first to a temporary one."""
    name = Path(result.name)
    write_image(folder / 'pictures' / name.with_suffix('.jpg'), result.picture)
    write_image(folder / 'classes' / name.with_suffix('.png'), result.classes)
    save_map(folder / 'anomaly' / name.with_suffix(''), result.anomaly.astype(np.float16))
