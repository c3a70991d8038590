"""BDD100K's semantic segmentation and drivable area: data sets, official scores and official result files.

Masks hold Cityscapes' 19 train ids (drivable area: 0 direct, 1 alternative, 2 background), 255 where there is no
label. Scores are those of ``python -m bdd100k.eval.run`` (bdd100k 1.0.1), which differ from mmseg's ``IoUMetric``
where a class has no ground truth: it is then left out of the mean, even if it is predicted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmseg.datasets import BDD100KDataset
from mmseg.registry import DATASETS, METRICS

from ..files import transforms, write_json  # noqa: F401 (transforms register)
from ..files.label_maps import check_ids
from ..files.outputs import OutputNames
from ..files.png import write_png
from ..runtime import frameworks  # noqa: F401
from . import bitmasks
from .eval.seg import CLASSES as SCORED
from .eval.seg import seg_scores
from .run_metric import RunMetric

CLASSES = BDD100KDataset.METAINFO['classes']
DRIVABLE = SCORED['drivable']
IGNORED = 255


@DATASETS.register_module()
class BDD100KSemSegDataset(BDD100KDataset):
    """Images with masks of train ids in BDD100K's layout.

    ``data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')``; the mask of
    ``NAME.jpg`` is ``NAME.png``. Without ``seg_map_path`` (a test set) only images are loaded.

    ``NAME_train_id.png``, as in the package of 2018, is found too.

    Raises:
        FileNotFoundError: A folder is missing, or an image has no mask; the message names it.
    """

    DOWNLOADS = '"10K Images" and "Segmentation"', 'images/10k and labels/sem_seg'

    def load_data_list(self) -> list[dict]:
        for key in ('img_path', 'seg_map_path'):
            folder = self.data_prefix.get(key)
            if folder and not os.path.isdir(folder):
                raise FileNotFoundError(
                    f'{folder}: no such folder (data_root is {self.data_root!r}). {self.DOWNLOADS[0]} of '
                    f'https://bdd-data.berkeley.edu unpack to {self.DOWNLOADS[1]}'
                )
        items = super().load_data_list()
        if not items:
            raise FileNotFoundError(
                f'{self.data_prefix["img_path"]}: no {self.img_suffix} file in this folder'
            )
        if self.data_prefix.get('seg_map_path'):
            missing = []
            for item in items:
                path = item['seg_map_path']
                if not os.path.exists(path):
                    item['seg_map_path'] = f'{os.path.splitext(path)[0]}_train_id.png'
                    missing += [] if os.path.exists(item['seg_map_path']) else [path]
            if missing:
                raise FileNotFoundError(
                    f'{missing[0]}: no such mask ({len(missing)} of {len(items)} images have none)'
                )
        return items


@DATASETS.register_module()
class BDD100KDrivableDataset(BDD100KSemSegDataset):
    """Images with masks of the drivable area: ``data_prefix=dict(img_path='images/100k/val',
    seg_map_path='labels/drivable/masks/val')``. What cannot be driven on is a class of its own."""

    METAINFO = dict(classes=(*DRIVABLE, 'background'), palette=[[219, 94, 86], [86, 211, 219], [0, 0, 0]])
    DOWNLOADS = '"100K Images" and "Drivable Area"', 'images/100k and labels/drivable'


def confusion(gt: np.ndarray, pred: np.ndarray, num_classes: int = len(CLASSES)) -> np.ndarray:
    """Pixels by (true class, predicted class), int64 (C, C + 1); the last column counts predictions
    outside the classes. Pixels whose truth is outside the classes do not count.

    Args:
        gt, pred: Integer arrays of one shape.
    """
    if gt.shape != pred.shape:
        raise ValueError(f'the prediction is {pred.shape}, its ground truth {gt.shape}')
    known = gt < num_classes
    pred = np.minimum(pred[known].astype(np.int64), num_classes)
    pairs = gt[known].astype(np.int64) * (num_classes + 1) + pred
    return np.bincount(pairs, minlength=num_classes * (num_classes + 1)).reshape(num_classes, -1)


def to_frame(name: str, mask: np.ndarray, classes: Sequence[str] = CLASSES) -> dict:
    """A Scalabel frame of a mask (H, W) of class indices: one label with a COCO run-length code per class."""
    there = np.unique(mask[mask < len(classes)])
    frame = bitmasks.to_frame(name, [mask == index for index in there], [classes[index] for index in there])
    return bitmasks.frame_json(frame, range(len(there)))


@METRICS.register_module()
class BDD100KSemSegMetric(RunMetric):
    """The official scores, and result files in the official form.

    Args:
        **kwargs: As `RunMetric`. The files are ``masks/NAME.png`` (uint8 class ids) and ``sem_seg.json``, of the
            drivable area ``drivable.json`` (Scalabel frames with run-length codes).

    Raises:
        ValueError: A label map has ids that are no class or another size than the prediction, an image has no
            label map, or images of several folders share a name; the message names them.
    """

    default_prefix = None
    task = 'sem_seg'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._names = self.format_dir and OutputNames(self.format_dir / 'masks')

    def scored(self) -> Sequence[str]:
        """The classes of the data set that count: the first ones, pixels of the others are left out."""
        return self.dataset_meta['classes']

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        classes = self.dataset_meta['classes']
        for sample in data_samples:
            path = sample['img_path']
            pred = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy().astype(np.uint8)
            counts = frame = None
            if not self.format_only:
                counts = confusion(self._truth(sample, pred, len(classes)), pred, len(self.scored()))
            if self._names is not None:
                write_png(self._names.path(Path(path).name, '.png', source=path), pred)
                frame = to_frame(Path(path).name, pred, classes)
            self.results.append((counts, frame, path))

    @staticmethod
    def _truth(sample: dict, pred: np.ndarray, num_classes: int) -> np.ndarray:
        """The (H, W) label map of a sample, which fits its prediction."""
        path = sample.get('seg_map_path') or sample['img_path']
        if 'gt_sem_seg' not in sample:
            raise ValueError(
                f'{path}: no label map was loaded to score by: set seg_map_path of the data set, or write '
                'predictions only (--format-only --format-dir OUT)'
            )
        gt = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
        if gt.shape != pred.shape:
            raise ValueError(
                f'{path}: the label map is {gt.shape}, its prediction {pred.shape} (height, width)'
            )
        check_ids(gt, num_classes, (IGNORED,), path)
        return gt

    def compute_metrics(self, results: list) -> dict[str, float]:
        logger = MMLogger.get_current_instance()
        if self.format_dir is not None:
            names = OutputNames(self.format_dir / 'masks')
            for *_, path in results:  # of all ranks
                names.path(Path(path).name, '.png', source=path)
            path = self.format_dir / f'{self.task}.json'
            write_json(path, [frame for _, frame, _ in results])
            logger.info(f'{len(results)} masks written to {self.format_dir / "masks"}, frames to {path}')
        if self.format_only:
            return {}
        counts = sum(counts for counts, *_ in results)
        if not counts.any():
            raise ValueError('no pixel of the ground truth has a class: nothing to score')
        scores = seg_scores(counts, self.scored())
        logger.info(scores.table())
        means = {f'm{key}': scores[key][-1]['AVERAGE'] for key in ('IoU', 'Acc')}
        return means | {key: scores[key] for key in ('fIoU', 'pAcc')}


@METRICS.register_module()
class BDD100KDrivableMetric(BDD100KSemSegMetric):
    """`BDD100KSemSegMetric` of the drivable area: pixels whose truth is background are left out, so that painting
    these costs nothing, and background is no class of the mean."""

    task = 'drivable'

    def scored(self) -> Sequence[str]:
        if tuple(self.dataset_meta['classes']) != BDD100KDrivableDataset.METAINFO['classes']:
            raise ValueError(
                f'BDD100KDrivableMetric scores {", ".join(DRIVABLE)} with background third; the data set has the '
                f'classes {", ".join(self.dataset_meta["classes"])}: take BDD100KDrivableDataset as it is'
            )
        return DRIVABLE
