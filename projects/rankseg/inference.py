"""Semantic and panoptic segmentation of images, folders, globs and, frame by frame, videos.

import mmroad

inferencer = mmroad.inferencer('rankseg_swin_b_bdd100k', 'rankseg.pth')
result = inferencer('street.jpg')
result.classes, result.ranking, result.picture
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose

from mmroad.inference import array_pipeline
from mmroad.media import VIDEOS, open_source, read_image, write_image

from .video.pictures import VideoFile, overlay_classes


class ImageResult(NamedTuple):
    """One image's result; maps are at the image's size."""

    name: str  #: the file's name, NAME_FRAME.jpg for a video, '' for an array
    classes: np.ndarray  #: (H, W) uint8
    segments: np.ndarray | None  #: panoptic models: (H, W) int32, class + 1000 x instance; 150 is none
    ranking: list[str] | None  #: models that rank: class names, best first
    picture: np.ndarray  #: (H, W, 3) BGR uint8, the image under its classes, segments outlined


class ImageInferencer:
    """Runs a segmentation model on images as they come.

    Args:
        model: A built semantic or panoptic model with its config as ``model.cfg`` (``mmroad.init_model``).

    Raises:
        ValueError: The model is in oracle mode.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model.eval()
        self.panoptic = hasattr(model, 'panoptic_head')
        head = model.panoptic_head if self.panoptic else model.decode_head
        if getattr(getattr(head, 'rank_seg', None), 'oracle', False):
            raise ValueError('a model in oracle mode (+GT) needs the ground truth: take one without')
        steps = [step for step in array_pipeline(model.cfg) if step['type'] != 'RecordClasses']
        if 'meta_keys' in steps[-1]:
            steps[-1]['meta_keys'] = [key for key in steps[-1]['meta_keys'] if key != 'gt_classes']
        self.pipeline = Compose(steps)
        self.meta = model.dataset_meta

    @torch.no_grad()
    def __call__(self, image: str | Path | np.ndarray, name: str = '') -> ImageResult:
        """One image: a file or a BGR uint8 array (H, W, 3)."""
        if not isinstance(image, np.ndarray):
            name, image = name or Path(image).name, read_image(image)
        data = self.pipeline(dict(img=image, img_id=0, img_path=name))
        (sample,) = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        pred = sample.pred_sem_seg
        classes = (pred.sem_seg if self.panoptic else pred.data)[0].cpu().numpy().astype(np.uint8)
        picture, segments = overlay_classes(image, classes, self.meta['palette']), None
        if self.panoptic:
            segments = sample.pred_panoptic_seg.sem_seg[0].cpu().numpy()
            picture = outlined(picture, segments)
        ranking = None
        if 'ranking' in sample:
            ranking = [self.meta['classes'][i] for i in sample.ranking.tolist()]
        return ImageResult(name, classes, segments, ranking, picture)

    def run(
        self, source: str | Path, out_dir: str | Path | None = None, progress: bool = True
    ) -> Iterator[ImageResult]:
        """Results of an image, a folder, a glob or a video, one at a time.

        Args:
            out_dir: Write ``pictures/NAME.jpg`` and ``classes/NAME.png`` (uint8) below it; of a video,
                ``NAME.mp4`` in place of the pictures.
            progress: Show a progress bar.
        """
        from rich.progress import track

        frames, total = open_source(source)
        is_video = Path(source).suffix.lower() in VIDEOS
        with ExitStack() as stack:
            if out_dir is not None and is_video:
                fps = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS) or 25.0
                video = stack.enter_context(
                    VideoFile(Path(out_dir) / f'{Path(source).stem}.mp4', fps, source)
                )
            for name, image in track(frames, total=total, description=str(source), disable=not progress):
                result = self(image, name)
                if out_dir is not None:
                    path = Path(name)
                    write_image(Path(out_dir) / 'classes' / path.with_suffix('.png'), result.classes)
                    if is_video:
                        video.write(result.picture)
                    else:
                        write_image(Path(out_dir) / 'pictures' / path.with_suffix('.jpg'), result.picture)
                yield result


def outlined(picture: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with white borders between segments (H, W)."""
    border = np.zeros(segments.shape, bool)
    border[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    border[1:] |= segments[1:] != segments[:-1]
    return np.where(border[..., None], np.uint8(255), picture)
