"""Anomaly segmentation of images, folders, globs and videos.

import mmroad
from mmroad.rba.inference import AnomalyInferencer

inferencer = AnomalyInferencer(mmroad.init_model('rba_swin_b_1dl_ood_coco', 'rba.pth'))
result = inferencer('street.jpg')
result.classes, result.anomaly, result.picture
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from .pictures import anomaly_picture

IMAGES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
#: Scores of the coldest and hottest colour, over what the score can be with sure queries.
SCALES = dict(
    rba=(-1.0, 0.0),
    energy=(-3.1, -2.9),
    neg_logit_sum=(-1.0, 0.0),
    max_softmax=(0.85, 0.95),
    max_logit=(-1.0, 0.0),
    entropy=(2.8, 3.0),
    eam=(0.0, 1.0),
    uno=(-1.0, 1.0),
    dense_hybrid=(-10.0, -2.9),
)


class AnomalyResult(NamedTuple):
    """One image's result; maps are at the image's size."""

    name: str  # the file's stem, with _FRAME for a video; '' for an array
    classes: np.ndarray  # (H, W) uint8
    anomaly: np.ndarray  # (H, W) float32, higher is more anomalous
    picture: np.ndarray  # see `anomaly_picture`


class AnomalyInferencer:
    """Runs an anomaly segmentor on images as they come.

    Args:
        model: A built model with its config as ``model.cfg`` (``mmroad.init_model``).
        score: Another anomaly score than the config's, see ``mmroad.rba.scores``.
        scale: The heat map's fixed scale (default: by the score).
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
        self.scale, self.threshold = scale or SCALES[model.anomaly_score.__name__], threshold
        cfg = model.cfg
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        steps = [t for t in cfg.test_dataloader.dataset.pipeline if t['type'] != 'LoadAnnotations']
        self.pipeline = Compose([dict(type='LoadImageFromNDArray'), *steps[1:]])
        meta = getattr(model, 'dataset_meta', None)
        if not meta:
            from mmseg.registry import DATASETS

            meta = DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO
        self.palette = meta['palette']

    @torch.no_grad()
    def __call__(self, image: str | Path | np.ndarray, name: str = '') -> AnomalyResult:
        """One image: a file or a BGR uint8 array (H, W, 3)."""
        if not isinstance(image, np.ndarray):
            name = name or Path(image).stem
            image = read(image)
        data = self.pipeline(dict(img=image))
        sample = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        anomaly = sample.anomaly_map.data[0].cpu().numpy()
        picture = anomaly_picture(image, classes, anomaly, self.palette, self.scale, self.threshold)
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


def read(path: str | Path) -> np.ndarray:
    """An image as BGR uint8; the error names the file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    image = mmcv.imread(str(path))
    if image is None:
        raise ValueError(f'{path}: not an image that can be read')
    return image


def open_source(source: str | Path) -> tuple[Iterator[tuple[str, np.ndarray]], int]:
    """Names and BGR images of a file, folder (its images, sorted), glob or video, and their number."""
    source = Path(source)
    if source.suffix.lower() in VIDEOS and source.is_file():
        return _frames(source)
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGES)
    else:
        files = [source] if source.is_file() else sorted(map(Path, glob.glob(str(source), recursive=True)))
    if not files:
        raise FileNotFoundError(
            f'{source}: no image ({", ".join(IMAGES)}) or video ({", ".join(VIDEOS)}) there'
        )
    return ((file.stem, read(file)) for file in files), len(files)


def _frames(path: Path) -> tuple[Iterator[tuple[str, np.ndarray]], int]:
    video = cv2.VideoCapture(str(path))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if not video.isOpened() or total <= 0:
        raise ValueError(f'{path}: not a video that can be read')

    def frames() -> Iterator[tuple[str, np.ndarray]]:
        index = 0
        while True:
            ok, image = video.read()
            if not ok:
                break
            yield f'{path.stem}_{index:06}', image
            index += 1
        video.release()

    return frames(), total


def write(result: AnomalyResult, folder: Path) -> None:
    """Write a result's files, each first to a temporary one."""

    def image(path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'.part_{path.name}')
        if not cv2.imwrite(str(part), array):
            raise OSError(f'{path}: could not be written')
        os.replace(part, path)

    image(folder / f'pictures/{result.name}.jpg', result.picture)
    image(folder / f'classes/{result.name}.png', result.classes)
    path = folder / f'anomaly/{result.name}.npz'
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.part_{path.name}')
    np.savez_compressed(part, anomaly=result.anomaly.astype(np.float16))
    os.replace(part, path)
