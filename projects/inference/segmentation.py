"""Semantic and panoptic segmentation of images, folders, globs and, frame by frame, videos.

import mmroad

inferencer = mmroad.inferencer('rankseg_swin_b_bdd100k', 'rankseg.pth')
result = inferencer('street.jpg')
result.classes, result.ranking, result.picture
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose

from ..files import write_image
from ..files.outputs import RunFolder
from ..files.sources import Item, open_source
from ..rankseg.video.pictures import VideoFiles, overlay_classes
from .base import Run, array_pipeline, given_image, prepared, run_over

if TYPE_CHECKING:
    from PIL.Image import Image


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

    @torch.inference_mode()
    def __call__(self, image: str | Path | np.ndarray | Image, name: str = '') -> ImageResult:
        """One image: a file, a BGR uint8 array (H, W, 3) or a grey one, or a Pillow image."""
        name, image = given_image(image, name)
        batch = prepared(self.pipeline, dict(img=image, img_id=0, img_path=name), name)
        (sample,) = self.model.test_step(batch)
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
    ) -> Run[ImageResult]:
        """Results of an image, a folder, a glob or a video, one at a time; see `run_over`.

        Args:
            out_dir: Write ``pictures/NAME.jpg`` and ``classes/NAME.png`` (uint8) below it; of videos
                ``pictures/NAME.mp4``, of a single one ``NAME.mp4``.
            progress: Show a progress bar.
        """
        source = open_source(source)
        if out_dir is None:
            return run_over(source, self, progress=progress)
        single = len(source.items) == 1 and source.items[0].is_video
        files = [f'{source.items[0].name}.mp4'] if single else []
        folder = RunFolder(out_dir, source, files, pictures='.jpg', classes='.png')
        videos = VideoFiles()

        def write(result: ImageResult, item: Item) -> None:
            write_image(folder.path('classes', result.name), result.classes)
            if item.is_video:
                place = folder.folder if single else folder.folder / 'pictures'
                videos.write(place / f'{item.name}.mp4', item.path, result.picture)
            else:
                write_image(folder.path('pictures', result.name), result.picture)

        return run_over(source, self, write, videos.close, progress)


def outlined(picture: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with white borders between segments (H, W)."""
    border = np.zeros(segments.shape, bool)
    border[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    border[1:] |= segments[1:] != segments[:-1]
    return np.where(border[..., None], np.uint8(255), picture)
