"""Semantic and panoptic segmentation of images, folders, globs and, frame by frame, videos.

import mmroad

inferencer = mmroad.inferencer('rankseg_swin_b_bdd100k', 'rankseg.pth')
result = inferencer('street.jpg')
result.classes, result.ranking, result.picture
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from mmengine.dataset import Compose

from ..anomaly.pictures import overlay_classes
from ..files import write_image, write_json
from ..files.sources import Item, Source
from .base import Collector, Inferencer, array_pipeline
from .pictures import with_legend
from .results import Object, Result, box_of, regions

if TYPE_CHECKING:
    from mmengine.config import Config

DIVISOR = 1000  # of panoptic maps: class + 1000 x instance


@dataclass(repr=False, eq=False)
class ImageResult(Result):
    """One image's result; maps are at the image's size. Its objects are a panoptic model's segments, else the
    regions of the classes that are there."""

    classes: np.ndarray  #: (H, W) uint8
    class_names: tuple[str, ...]  #: of all classes
    segments: np.ndarray | None = (
        None  #: panoptic models: (H, W) int32, class + 1000 x instance; from the number of classes on: none
    )
    ranking: list[str] | None = None  #: models that rank: class names, best first

    FOLDERS: ClassVar = dict(classes='.png', pictures='.jpg')

    def objects(self) -> list[Object]:
        """The segments, or the classes' regions."""
        if self.segments is None:
            return regions(self.classes, dict(enumerate(self.class_names)))
        found = []
        for value in np.unique(self.segments).tolist():
            label, mask = value % DIVISOR, self.segments == value
            if label < len(self.class_names):
                extras = dict(instance=value // DIVISOR)
                found.append(Object(self.class_names[label], label, box_of(mask), mask=mask, extras=extras))
        return found

    def write(self, kind: str, path: Path) -> None:
        write_image(path, self.classes if kind == 'classes' else self.picture)


class ImageInferencer(Inferencer[ImageResult]):
    """Runs a segmentation model on images, one at a time.

    A run writes ``pictures/NAME.jpg``, ``classes/NAME.png`` (uint8) and ``classes.json``, the names and colors of
    the numbers in them.

    Args:
        model, options: See `Inferencer`.

    Raises:
        ValueError: The model is in oracle mode.
    """

    kind = 'segmentation'
    result = ImageResult

    def __init__(self, model: torch.nn.Module | Config | str, **options: Any) -> None:
        super().__init__(model, **options)
        refuse_oracle(self.model)
        steps = [step for step in array_pipeline(self.model.cfg) if step['type'] != 'RecordClasses']
        if 'meta_keys' in steps[-1]:
            steps[-1]['meta_keys'] = [key for key in steps[-1]['meta_keys'] if key != 'gt_classes']
        self.pipeline = Compose(steps)
        self.meta = self.model.dataset_meta

    def result_of(self, sample: Any, image: np.ndarray, name: str) -> ImageResult:
        """The classes, and a panoptic model's segments, of an image."""
        names, segments = tuple(self.meta['classes']), None
        if 'pred_panoptic_seg' in sample:
            segments = sample.pred_panoptic_seg.sem_seg[0].cpu().numpy()
        if 'pred_sem_seg' in sample:
            pred = sample.pred_sem_seg
            classes = (pred.data if segments is None else pred.sem_seg)[0].cpu().numpy().astype(np.uint8)
        else:  # of segments alone
            assert segments is not None, 'a segmentation model gives classes or segments'
            classes = np.where(segments % DIVISOR < len(names), segments % DIVISOR, 255).astype(np.uint8)
        picture = overlay_classes(image, classes, self.meta['palette'])
        if segments is not None:
            picture = outlined(picture, segments)
        picture = with_legend(picture, classes, names, self.meta['palette'])
        ranking = [names[i] for i in sample.ranking.tolist()] if 'ranking' in sample else None
        return ImageResult(name, classes, names, segments, ranking, picture=picture)

    def collectors(self, source: Source, out_dir: str | Path) -> list[Collector]:
        """``classes.json``."""
        return [ClassNames(out_dir, self.meta['classes'], self.meta['palette'])]


class ClassNames:
    """Writes ``classes.json``: the name and the RGB color of each number of a run's class maps."""

    FILES: ClassVar[tuple[str, ...]] = ('classes.json',)

    def __init__(self, out_dir: str | Path, classes: Any, palette: Any) -> None:
        self.path = Path(out_dir) / 'classes.json'
        self.content = [
            dict(id=i, name=name, color=list(color)) for i, (name, color) in enumerate(zip(classes, palette))
        ]

    def add(self, result: Any, item: Item) -> None:
        """Nothing to gather."""

    def close(self) -> None:
        """Write the file."""
        write_json(self.path, self.content, indent=1)


def refuse_oracle(model: torch.nn.Module) -> None:
    """Refuse a model that needs the ground truth."""
    if any(getattr(getattr(m, 'rank_seg', None), 'oracle', False) for m in model.children()):
        raise ValueError('a model in oracle mode (+GT) needs the ground truth: take one without')


def outlined(picture: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with white borders between segments (H, W)."""
    border = np.zeros(segments.shape, bool)
    border[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    border[1:] |= segments[1:] != segments[:-1]
    return np.where(border[..., None], np.uint8(255), picture)
