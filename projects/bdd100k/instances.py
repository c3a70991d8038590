"""BDD100K's instance and panoptic segmentation: data sets of bitmasks, run-length codes or polygons.

Importing this registers them and their metrics.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS, TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.logging import print_log

from ..files.images import image_size
from ..files.sources import image_files
from ..files.unreadable import LeavesOutImages
from . import instance_metric  # noqa: F401 (registers)
from .bitmasks import read_segments
from .dataset import BDD100KDetDataset
from .eval import ins_seg, pan_seg
from .eval.masks import MaskFrame, read_frames
from .scalabel import IGNORE_MAPPING, NAME_MAPPING, LabelFileError


class _SegmentsDataset(LeavesOutImages, BaseDetDataset):
    """Images with segments, of which every image has a bitmask or a frame of a Scalabel file.

    Args:
        data_prefix: ``dict(img=..., bitmask=...)``, folders of images and, where there is no ``ann_file``, of
            bitmasks: that of ``NAME.jpg`` is ``NAME.png``. Without both, images alone are loaded.
        ann_file: A Scalabel file or folder with run-length codes; of training data, with polygons too.

    Raises:
        FileNotFoundError: A folder, an image of the file or a bitmask is missing; names the first.
        LabelFileError: The file cannot be used; names the place.
    """

    CATEGORIES: Sequence[str]  #: of the files
    TABLES: tuple = ()  #: other names of categories, and ignored ones

    def load_data_list(self) -> list[dict]:
        images, bitmasks = Path(self.data_prefix.get('img', '')), self.data_prefix.get('bitmask')
        for folder in (images, *([bitmasks] if bitmasks and not self.ann_file else [])):
            if not Path(folder).is_dir():
                raise FileNotFoundError(
                    f'{folder}: no such folder (data_root is {self.data_root!r}). "10K Images", "Instance '
                    'Segmentation" and "Panoptic Segmentation" of https://bdd-data.berkeley.edu unpack to images/10k, '
                    'labels/ins_seg and labels/pan_seg'
                )
        if self.ann_file:
            size_of = None if self.test_mode else lambda name: image_size(images / name)[::-1]
            truth = {
                f.name: f for f in read_frames(self.ann_file, self.CATEGORIES, *self.TABLES, size_of=size_of)
            }
        else:
            names = sorted(path.relative_to(images).as_posix() for path in image_files(images))
            truth = {n: str(Path(bitmasks, n).with_suffix('.png')) if bitmasks else None for n in names}
        if not truth:
            raise FileNotFoundError(f'{self.ann_file or images}: no images in it')
        self._check(images, truth)
        labels = self.label_of()
        return [
            dict(img_path=str(images / name), img_id=i, file_name=name, truth=found, label_of=labels)
            for i, (name, found) in enumerate(truth.items())
        ]

    def _check(self, images: Path, truth: dict) -> None:
        if self.ann_file:
            missing, what = [images / name for name in truth if not (images / name).is_file()], 'image'
        else:
            missing, what = [path for path in truth.values() if path and not Path(path).is_file()], 'bitmask'
        if missing:
            raise FileNotFoundError(
                f'{missing[0]}: no such {what} ({len(missing)} of {len(truth)} {what}s are missing). Older packages of '
                'the images and of the labels do not fit each other'
            )
        if not self.ann_file and None not in truth.values():
            left = len(list(Path(self.data_prefix['bitmask']).rglob('[!.]*.png'))) - len(truth)
            if left > 0:
                print_log(
                    f'{self.data_prefix["bitmask"]}: {left} bitmasks are of no image in {images}', 'current',
                    logging.WARNING,
                )  # fmt: skip

    def label_of(self) -> list[int]:
        """The model's class of every category of the files, -1 where it has none."""
        classes = list(self.metainfo['classes'])
        unknown = sorted(set(classes) - set(self.CATEGORIES))
        if unknown:
            raise ValueError(
                f'{type(self).__name__} has no classes {unknown}; it has {", ".join(self.CATEGORIES)}'
            )
        return [classes.index(name) if name in classes else -1 for name in self.CATEGORIES]


@DATASETS.register_module()
class BDD100KInsSegDataset(_SegmentsDataset):
    __doc__ = _SegmentsDataset.__doc__

    CATEGORIES = ins_seg.CLASSES
    TABLES = NAME_MAPPING, IGNORE_MAPPING
    METAINFO = dict(classes=CATEGORIES, palette=BDD100KDetDataset.METAINFO['palette'][: len(CATEGORIES)])


@DATASETS.register_module()
class BDD100KPanSegDataset(_SegmentsDataset):
    __doc__ = _SegmentsDataset.__doc__

    CATEGORIES = pan_seg.CLASSES
    METAINFO = dict(
        classes=(*pan_seg.THINGS, *pan_seg.STUFF),
        thing_classes=pan_seg.THINGS,
        stuff_classes=pan_seg.STUFF,
        palette=[
            tuple(np.random.default_rng(i).integers(40, 255, 3).tolist()) for i in range(len(pan_seg.CLASSES))
        ],
    )


@TRANSFORMS.register_module()
class LoadInstances(BaseTransform):
    """Boxes, classes and masks of an image's ``truth``: ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` (1 for
    crowds and ignored ones), ``gt_masks``; of panoptic data things alone, and ``gt_seg_map`` (H, W) of all classes, 255
    where there is none.

    Args:
        drop_empty: An image without anything to learn from is replaced by another one at random.
    """

    def __init__(self, drop_empty: bool = False) -> None:
        self.drop_empty = drop_empty

    def transform(self, results: dict) -> dict | None:
        truth, labels = results['truth'], np.array(results['label_of'])
        panoptic = len(labels) == len(pan_seg.CLASSES)
        classes = pan_seg.CLASSES if panoptic else ins_seg.CLASSES
        if truth is None:
            raise LabelFileError(
                f'{results["img_path"]}: its data set has no labels: set data_prefix.bitmask or ann_file'
            )
        found = read_segments(truth, classes, results.get('ori_shape'))
        label = labels[found.categories - 1]
        if panoptic:
            results['gt_seg_map'] = np.full(results['ori_shape'], 255, np.uint8)
            for mask, number in zip(found.masks, label):
                results['gt_seg_map'][mask] = number
        keep = (label >= 0) & (label < len(pan_seg.THINGS)) & found.masks.any((1, 2))
        if self.drop_empty and not (keep & ~found.ignored).any():
            return None
        results['gt_bboxes'] = HorizontalBoxes(found.boxes()[keep])
        results['gt_bboxes_labels'] = label[keep]
        results['gt_ignore_flags'] = found.ignored[keep]
        results['gt_masks'] = BitmapMasks(found.masks[keep].astype(np.uint8), *results['ori_shape'])
        return results


__all__ = ['BDD100KInsSegDataset', 'BDD100KPanSegDataset', 'LoadInstances', 'MaskFrame']
