"""Outlier objects in training images, and Mapillary's labels as Cityscapes'.

Label maps hold 254 where a pixel is an outlier. A data set of your own whose masks have 254 needs nothing of
this: losses and mask targets read the label map alone.
"""

from __future__ import annotations

import random
from functools import cached_property
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset, CityscapesDataset, MapillaryDataset_v1
from mmseg.registry import DATASETS, TRANSFORMS

from ..files.images import read_image
from ..files.label_maps import read_label_map
from ..files.transforms import LoadLabelMap
from ..mask2former.head import IGNORED, OUTLIER


@TRANSFORMS.register_module()
class PasteOutlier(BaseTransform):
    """Pastes all outlier pixels of another image, as one cut-out, at a random place.

    The cut-out is the bounding box of the mask's ``value`` pixels; it is neither scaled nor blended. One
    larger than the image is not pasted. Goes after `LoadLabelMap` and before resizing. Changes ``img``
    and ``gt_seg_map``, where pasted pixels become 254.

    Args:
        img_dir, mask_dir: Where ``NAME.jpg`` and its ``NAME.png`` are. For COCO,
            mmroad data outlier-masks makes the masks.
        prob: How often an image gets an object.
        num_objects: Use a subset of this many masks, drawn from the sorted names with ``seed``: the same on
            every machine and in every worker. None uses all.
        img_suffix: The images' suffix.
        value: The mask value that marks an outlier.
    """

    SOURCE = 'COCO: unpack train2017 from https://cocodataset.org and run mmroad data outlier-masks'

    def __init__(
        self,
        img_dir: str,
        mask_dir: str,
        prob: float,
        num_objects: int | None = None,
        seed: int = 0,
        img_suffix: str = '.jpg',
        value: int = OUTLIER,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'PasteOutlier: prob is {prob}, expected 0 to 1')
        self.img_dir, self.mask_dir = Path(img_dir), Path(mask_dir)
        self.prob, self.num_objects, self.seed = prob, num_objects, seed
        self.img_suffix, self.value = img_suffix, value

    @cached_property
    def names(self) -> list[str]:
        """The names of the subset, read when the first object is pasted."""
        for folder in (self.img_dir, self.mask_dir):
            if not folder.is_dir():
                raise FileNotFoundError(f'{folder}: no such folder. {self.SOURCE}')
        names = sorted(path.stem for path in self.mask_dir.glob('*.png') if not path.name.startswith('.'))
        if not names:
            raise FileNotFoundError(f'{self.mask_dir}: no .png mask in this folder')
        if self.num_objects is None or self.num_objects >= len(names):
            return names
        return sorted(random.Random(self.seed).sample(names, self.num_objects))

    def load(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The cut-out (h, w, 3) uint8 BGR and its mask (h, w) bool; of size 0 where the mask is 0 all over.

        Raises:
            FileNotFoundError, ValueError: The image or the mask cannot be used, or the mask has other values
                than 0 but not ``value``; names the file.
        """
        image = read_image(self.img_dir / f'{name}{self.img_suffix}')
        path = self.mask_dir / f'{name}.png'
        labels = read_label_map(path, size=image.shape[:2])
        mask = labels == self.value
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            if labels.any():
                raise ValueError(
                    f'{path}: values {", ".join(map(str, np.unique(labels)[:8].tolist()))}, but outliers are '
                    f'{self.value}: PasteOutlier(value=...) names another one'
                )
            return image[:0, :0], mask[:0, :0]
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return image[box], mask[box]

    def transform(self, results: dict) -> dict:
        if np.random.rand() >= self.prob:
            return results
        return self.paste(results, *self.load(self.names[np.random.randint(len(self.names))]))

    @staticmethod
    def paste(results: dict, cutout: np.ndarray, mask: np.ndarray) -> dict:
        """Put the pixels of ``mask`` (h, w) of a picture (h, w, 3) at a random place, if there is room for it."""
        image, labels = results['img'], results['gt_seg_map']
        room = np.subtract(labels.shape, mask.shape)
        if not mask.size or (room < 0).any():
            return results
        top, left = (np.random.randint(r + 1) for r in room)
        place = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        results['img'], results['gt_seg_map'] = image.copy(), labels.copy()
        results['img'][place][mask] = cutout[mask]
        results['gt_seg_map'][place][mask] = OUTLIER
        return results


@TRANSFORMS.register_module()
class PasteNegatives(PasteOutlier):
    """Pastes pixels of a few classes of another data set, each class at a random place of its own.

    Of a random image, some classes are drawn (one may come twice, and 0, which is no class of ADE20K, too); the pixels
    of each are pasted in the frame of the whole image, which is first made smaller where its longer side is above a
    drawn length. One larger than the image is not pasted. Otherwise as `PasteOutlier`, after
    matejgrcic/Open-set-M2F@1269a3e (EAM, UNO).

    Args:
        img_dir, mask_dir, prob, num_objects, seed, img_suffix: As for `PasteOutlier`; masks hold class ids.
        sides: The length is drawn from the first to before the second, pixels.
        classes: How many are drawn.
    """

    SOURCE = 'ADE20K: ADEChallengeData2016.zip of http://sceneparsing.csail.mit.edu'

    def __init__(
        self,
        img_dir: str,
        mask_dir: str,
        sides: tuple[int, int],
        classes: int = 3,
        prob: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(img_dir, mask_dir, prob, **kwargs)
        self.sides, self.classes = sides, classes

    def transform(self, results: dict) -> dict:
        if np.random.rand() >= self.prob:
            return results
        name = self.names[np.random.randint(len(self.names))]
        image = read_image(self.img_dir / f'{name}{self.img_suffix}')
        labels = read_label_map(self.mask_dir / f'{name}.png', size=image.shape[:2])
        factor = np.random.randint(*self.sides) / max(labels.shape)
        if factor < 1:
            grid = np.ix_(*((np.arange(int(n * factor)) / factor).astype(int) for n in labels.shape))
            image, labels = image[grid], labels[grid]
        for value in np.random.choice(np.unique(labels), self.classes):
            results = self.paste(results, image, labels == value)
        return results


#: Mapillary Vistas 1.2's classes that Cityscapes has; the others become 255.
MAPILLARY_TO_CITYSCAPES = {
    'Curb': 'sidewalk',
    'Fence': 'fence',
    'Wall': 'wall',
    'Road': 'road',
    'Sidewalk': 'sidewalk',
    'Building': 'building',
    'Person': 'person',
    'Bicyclist': 'rider',
    'Motorcyclist': 'rider',
    'Other Rider': 'rider',
    'Lane Marking - Crosswalk': 'road',
    'Lane Marking - General': 'road',
    'Sky': 'sky',
    'Terrain': 'terrain',
    'Vegetation': 'vegetation',
    'Pole': 'pole',
    'Utility Pole': 'pole',
    'Traffic Light': 'traffic light',
    'Traffic Sign (Front)': 'traffic sign',
    'Bicycle': 'bicycle',
    'Bus': 'bus',
    'Car': 'car',
    'Motorcycle': 'motorcycle',
    'On Rails': 'train',
    'Truck': 'truck',
}


#: The same as EAM and UNO have it: with what is used like a class of Cityscapes.
MAPILLARY_TO_CITYSCAPES_WIDE = MAPILLARY_TO_CITYSCAPES | {
    'Guard Rail': 'fence',
    'Bike Lane': 'road',
    'Crosswalk - Plain': 'road',
    'Curb Cut': 'sidewalk',
    'Parking': 'road',
    'Pedestrian Area': 'sidewalk',
    'Rail Track': 'road',
    'Service Lane': 'road',
    'Bridge': 'building',
    'Tunnel': 'building',
    'Sand': 'terrain',
    'Snow': 'terrain',
    'Traffic Sign Frame': 'traffic sign',
}


def mapillary_table(wide: bool = False) -> np.ndarray:
    """Cityscapes' train id of every Mapillary 1.2 id, (256,) uint8."""
    wanted = MAPILLARY_TO_CITYSCAPES_WIDE if wide else MAPILLARY_TO_CITYSCAPES
    classes = CityscapesDataset.METAINFO['classes']
    table = np.full(256, IGNORED, np.uint8)
    for index, name in enumerate(MapillaryDataset_v1.METAINFO['classes']):
        if name in wanted:
            table[index] = classes.index(wanted[name])
    return table


@TRANSFORMS.register_module()
class LoadMapillaryAsCityscapes(LoadLabelMap):
    """Loads a Mapillary Vistas 1.2 label map as Cityscapes' 19 classes; see `LoadLabelMap`. ``wide``: as EAM and UNO
    map them (`MAPILLARY_TO_CITYSCAPES_WIDE`), else as RbA does."""

    def __init__(self, wide: bool = False, **kwargs) -> None:
        super().__init__(num_classes=len(MapillaryDataset_v1.METAINFO['classes']), **kwargs)
        self.table = mapillary_table(wide)

    def _load_seg_map(self, results: dict) -> None:
        super()._load_seg_map(results)
        results['gt_seg_map'] = self.table[results['gt_seg_map']]


@DATASETS.register_module()
class MapillaryCityscapesDataset(BaseSegDataset):
    """Mapillary Vistas 1.2 with Cityscapes' classes; its pipeline loads with `LoadMapillaryAsCityscapes`."""

    METAINFO = CityscapesDataset.METAINFO

    def __init__(self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        for folder in self.data_prefix.values():
            if folder and not Path(folder).is_dir():
                raise FileNotFoundError(
                    f'{folder}: no such folder. Mapillary Vistas 1.2 is at https://www.mapillary.com/dataset/vistas'
                )
        return super().load_data_list()
