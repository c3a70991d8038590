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
from mmengine.logging import print_log
from mmseg.datasets import BDD100KDataset
from mmseg.registry import DATASETS, METRICS

from ..files import transforms, write_json  # noqa: F401 (transforms register)
from ..files.label_maps import check_ids
from ..files.unreadable import LeavesOutImages
from ..runtime import frameworks  # noqa: F401
from . import bitmasks
from .eval.seg import CLASSES as SCORED
from .eval.seg import seg_scores
from .run_metric import PicturesMetric

CLASSES = BDD100KDataset.METAINFO['classes']
DRIVABLE = SCORED['drivable']
IGNORED = 255


@DATASETS.register_module()
class BDD100KSemSegDataset(LeavesOutImages, BDD100KDataset):
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
class BDD100KSemSegMetric(PicturesMetric):
    """The official scores, and result files in the official form.

    Args:
        **kwargs: As `RunMetric`. The files are ``masks/NAME.png`` (uint8 class ids) and ``sem_seg.json``, of the
            drivable area ``drivable.json`` (Scalabel frames with run-length codes).

    Raises:
        ValueError: A label map has ids that are no class or another size than the prediction, an image has no
            label map, or images of several folders share a name; the message names them.
    """

    default_prefix = None
    task, FOLDER = 'sem_seg', 'masks'

    def scored(self) -> Sequence[str]:
        """The classes of the data set that count: the first ones, pixels of the others are left out."""
        return self.dataset_meta['classes']

    def _result(self, sample: dict) -> dict[str, Any]:
        classes, path = self.dataset_meta['classes'], sample['img_path']
        pred = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy().astype(np.uint8)
        counts = None
        if not self.format_only:
            counts = confusion(self._truth(sample, pred, len(classes)), pred, len(self.scored()))
        self._save(sample, pred)
        return dict(
            counts=counts, frame=to_frame(Path(path).name, pred, classes) if self.format_dir else None
        )

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

    def _write(self, results: list[dict], folder: Path) -> None:
        path = folder / f'{self.task}.json'
        write_json(path, [result['frame'] for result in results])
        print_log(f'{len(results)} masks written to {folder / self.FOLDER}, frames to {path}', 'current')

    def _scores(self, results: list[dict]) -> dict[str, float]:
        counts = sum(result['counts'] for result in results)
        if not counts.any():
            raise ValueError('no pixel of the ground truth has a class: nothing to score')
        scores = seg_scores(counts, self.scored())
        print_log(scores.table(), 'current')
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
