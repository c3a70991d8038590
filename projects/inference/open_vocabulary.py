"""Open-vocabulary detection in images, folders, globs and videos.

import mmroad
from mmroad.detic.vocabulary import load_vocabulary
from mmroad.inference.open_vocabulary import DeticInferencer

name = 'Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size'
detect = DeticInferencer(name, weights='detic.pth', vocabulary=load_vocabulary('words.safetensors'))
result = detect('street.jpg')
result.names, result.masks, result.features
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..detic.vocabulary import Vocabulary
from ..files.arrays import write_arrays
from ..files.sources import Source
from .base import Collector, Inferencer
from .coco_results import ResultWriter
from .detection import Detections, DetInferencer

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


@dataclass(repr=False, eq=False)
class WithFeatures(Detections):
    """Detections whose regions' embeddings are written too."""

    FOLDERS: ClassVar = dict(pictures=None, features=None)

    def write(self, kind: str, path: Path) -> None:
        if kind == 'features':
            write_features(Path(f'{path}.npz'), self)
        else:
            super().write(kind, path)


class DeticInferencer(DetInferencer):
    """Runs a Detic model on images, one at a time.

    A run writes ``pictures/NAME``; ``det.json`` (Scalabel, BDD100K's); ``results.json`` (COCO's and LVIS's result
    format, with masks) and ``results_ids.json`` (its images and categories); ``features/NAME.npz`` where features
    are asked for. ``run(..., annotations=FILE)`` takes the ids of a COCO- or LVIS-style file (`ResultWriter`).

    Args:
        model, options: See `mmroad.inference.base.Inferencer`.
        threshold: Scores from which a detection is drawn; the result holds all.
        vocabulary: The classes to detect; None keeps the model's (or its config's) own.
        all_classes: Every class of a proposal above the score threshold, not the best one alone.
        masks: Predict masks (CenterNet2 models).
        features: Add the regions' embeddings (models with a zero-shot classifier).
    """

    kind = 'open_vocabulary'

    def __init__(
        self,
        model: nn.Module | Config | str,
        threshold: float = 0.5,
        vocabulary: Vocabulary | None = None,
        all_classes: bool = False,
        masks: bool = True,
        features: bool = False,
        **options: Any,
    ) -> None:
        Inferencer.__init__(self, model, **options)
        model = self.model
        zero_shot = hasattr(model, 'roi_head')
        if not zero_shot and (vocabulary is not None or features):
            raise ValueError(
                'Deformable DETR has a learned classifier: no other vocabulary and no region features; pick '
                'among its classes with model.vocabularies (configs/detic/README.md)'
            )
        head = model.roi_head if zero_shot else model.bbox_head
        head.test_cfg.update(one_class_per_proposal=not all_classes, masks=masks, features=features)
        if vocabulary is not None:
            model.set_vocabulary(vocabulary)
        own = (model.dataset_meta or {}).get('classes') or model.own_names()
        names = own if model.vocabulary is None else model.class_names_of(model.vocabulary)
        if names is None:
            raise ValueError(
                'nobody has named the classes of this model: give a vocabulary, a checkpoint converted with '
                '--classes FILE, or --cfg-options model.class_names=FILE'
            )
        model.dataset_meta = {**(model.dataset_meta or {}), 'classes': tuple(names)}
        super().__init__(model, threshold)
        self.result = WithFeatures if features else Detections  # type: ignore[misc]  # of this inferencer

    def collectors(
        self, source: Source, out_dir: str | Path, annotations: str | Path | None = None
    ) -> list[Collector]:
        """``results.json``, ``det.json`` and their companions.

        Raises:
            ValueError: The annotations lack an image or a class; names them.
        """
        results = ResultWriter(out_dir, self.classes, annotations)
        results.check([item.path for item in source.items if not item.is_video])
        return [results, *super().collectors(source, out_dir)]


def write_features(path: Path, result: Detections) -> None:
    """Boxes, scores, labels, names and region embeddings of an image as .npz."""
    fields = {k: getattr(result, k) for k in ('boxes', 'scores', 'labels', 'features')}
    write_arrays(path, compressed=True, names=np.array(result.names), **fields)
