"""Detection: a data set of any classes that reads Scalabel and COCO files as they are; BDD100K is a case of it."""

from __future__ import annotations

import colorsys
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from ..files.images import image_size as size_in_header
from ..files.sources import image_files
from ..files.unreadable import LeavesOutImages
from .categories import ANY, BDD100K
from .columns import FRAME_ATTRIBUTES, Columns
from .index import indexed_columns
from .scalabel import DET_CLASSES, LabelFileError, det_classes


@DATASETS.register_module()
class ScalabelDetDataset(LeavesOutImages, BaseDetDataset):
    """Boxes of a Scalabel file or folder or a COCO file, or a folder of images without labels.

    The boxes stay in arrays that are mapped into memory from a cache beside the labels
    (``mmroad.bdd100k.index``), so dataloader workers share them. A box is [x1, y1, x2, y2] in pixels where x2 and
    y2 are exclusive (those of a Scalabel file are inclusive: one is added).

    Args:
        ann_file: Label file or folder; empty takes every image below ``data_prefix['img']``, hidden ones and
            what runs of ours wrote there left out.
        classes: The classes in the model's order, by their names in the file; boxes of others are left out.
            ``metainfo=dict(classes=...)`` says the same. None takes those of the file in the order of the alphabet
            (of a COCO file in the file's).
        ignored: ``keep`` crowd and ignored boxes as ignored regions (``ignore_flag`` 1), or ``drop`` them.
        attributes: Frame attributes to select by, such as ``dict(timeofday=['night'])``.
        image_size: (width, height) of every image where that is known; None reads it from each
            image's header when a sampler asks.
        check_images: Look for every image before the first is used (else for the first one only).
        filter_cfg: ``dict(filter_empty_gt=True)`` drops images without a box to learn from.

    Raises:
        LabelFileError: Wrong file, unknown category, bad box, a name twice; names the place.
        FileNotFoundError: Images are missing; names the first.
        ImageError: An image cannot be read; names it. It is a ``ValueError``.
        ValueError: Classes of which the file has none, or arguments that are not read.
    """

    #: What the categories of a file may be.
    CATEGORIES = ANY

    def __init__(
        self,
        *args,
        classes: Sequence[str] | None = None,
        ignored: str = 'keep',
        attributes: dict[str, Sequence[str]] | None = None,
        image_size: tuple[int, int] | None = None,
        check_images: bool = False,
        **kwargs,
    ) -> None:
        if ignored not in ('keep', 'drop'):
            raise ValueError(f"ignored must be 'keep' or 'drop', not {ignored!r}")
        unread = set(kwargs.get('filter_cfg') or ()) - {'filter_empty_gt'}
        if unread:
            raise ValueError(
                f'filter_cfg has {sorted(unread)}; this data set filters by filter_empty_gt only'
            )
        unknown = set(attributes or ()) - set(FRAME_ATTRIBUTES)
        if unknown:
            raise ValueError(f'frames have no attribute {sorted(unknown)}; select by {FRAME_ATTRIBUTES}')
        self.ignored, self.attributes = ignored, attributes
        self.image_size, self.check_images = image_size, check_images
        kwargs['serialize_data'] = False
        if classes is not None:
            kwargs['metainfo'] = {**(kwargs.get('metainfo') or {}), 'classes': classes}
        super().__init__(*args, **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | None = None) -> dict:
        given = dict(metainfo or {})
        other = [key for key in given if key != 'classes' and key.lower() == 'classes']
        if other:
            raise ValueError(f'metainfo has {other}, which is not read; write metainfo=dict(classes=(...))')
        classes = given.get('classes')
        if isinstance(classes, str) and not Path(classes).is_file():  # a file lists a name a line
            given['classes'] = [classes]
        meta = super()._load_metainfo(given)
        if meta.get('classes') is not None:
            meta['classes'] = cls._named(meta['classes'])
            if 'palette' not in given:
                meta['palette'] = cls._palette(meta['classes'])
        return meta

    @classmethod
    def _named(cls, classes: Sequence[str]) -> tuple[str, ...]:
        """The names of the classes as they are compared with the file's."""
        names = tuple(classes)
        if not names or len(set(names)) < len(names):
            raise ValueError(f'classes {list(names)}: {"one stands twice" if names else "there is none"}')
        return names

    @classmethod
    def _palette(cls, classes: Sequence[str]) -> list[tuple[int, int, int]]:
        """An RGB color for each class: hues by the golden angle, so that neighbors differ."""
        hues = [(0.02 + 0.618034 * row) % 1 for row in range(len(classes))]
        return [tuple(round(255 * v) for v in colorsys.hsv_to_rgb(hue, 0.75, 0.95)) for hue in hues]

    # ------------------------------------------------------------------ reading

    def full_init(self) -> None:
        if self._fully_initialized:
            return
        self._columns = self._labeled_images() if self.ann_file else self._unlabeled_images()
        columns = self._columns
        if self._metainfo.get('classes') is None:
            self._metainfo['classes'] = self._named(columns.classes)
            self._metainfo['palette'] = self._palette(columns.classes)
        self._first = np.searchsorted(columns.frame, np.arange(len(columns.names) + 1))
        self._labels = np.array([self._class_of(c) for c in columns.classes], np.int64)
        self._sizes = np.zeros((len(columns.names), 2), np.int32)  # read when asked for; 0 is not yet
        self._frames = self._select()
        if self._indices is not None:
            self._frames = self._frames[self._subset(self._indices)]
        self._check_images()
        self._fully_initialized = True

    def _labeled_images(self) -> Columns:
        columns = indexed_columns(self.ann_file, self.CATEGORIES)
        columns.check_boxes()
        repeated = columns.repeated()
        if repeated:
            raise LabelFileError(f'{self.ann_file}: {repeated}. Frames need names of their own.')
        return columns

    def _unlabeled_images(self) -> Columns:
        folder = Path(self.data_prefix.get('img', ''))
        names = sorted(str(p.relative_to(folder)) for p in image_files(folder))
        if not names:
            raise FileNotFoundError(f'no images below {folder} (and no ann_file is given)')
        m = len(names)
        empty = {k: np.zeros(m, np.int16) for k in FRAME_ATTRIBUTES}
        return Columns(
            names=names,
            videos=[None] * m,
            has_labels=np.zeros(m, bool),
            attributes=empty,
            attribute_values={k: [''] for k in FRAME_ATTRIBUTES},
            frame=np.zeros(0, np.int32),
            category=np.zeros(0, np.int16),
            xyxy=np.zeros((0, 4)),
            score=np.zeros(0),
            ignored=np.zeros(0, bool),
            crowd=np.zeros(0, bool),
            source=str(folder),
            classes=tuple(self._metainfo.get('classes') or ()),
        )

    def _class_of(self, name: str) -> int:
        classes = self._metainfo['classes']
        return classes.index(name) if name in classes else -1

    def _select(self) -> np.ndarray:
        """The rows of the frames to keep."""
        columns = self._columns
        keep = np.ones(len(columns.names), bool)
        for key, wanted in (self.attributes or {}).items():
            values = columns.attribute_values[key]
            wanted = [wanted] if isinstance(wanted, str) else wanted
            unknown = set(wanted) - set(values)
            if unknown:
                raise ValueError(
                    f'{columns.source}: no frame has {key} {sorted(unknown)}; its values are {sorted(values)}'
                )
            keep &= np.isin(columns.attributes[key], [values.index(v) for v in wanted])
        known = self._labels[columns.category] >= 0
        self._refuse_other_classes(known)
        useful = ~(columns.ignored | columns.crowd) & known
        self._tell_classes(known, columns.category[useful])
        has_box = np.zeros(len(keep), bool)
        has_box[columns.frame[useful]] = True
        empty = int((keep & ~has_box).sum())
        if self.ann_file and empty:
            drop = (self.filter_cfg or {}).get('filter_empty_gt', False) and not self.test_mode
            print_log(
                f'{columns.source}: {empty} of {int(keep.sum())} images have no box to learn from; '
                + ('dropped (filter_empty_gt)' if drop else 'kept as negatives'),
                logger='current',
            )
            if drop:
                keep &= has_box
        frames = np.flatnonzero(keep)
        if not len(frames):
            raise ValueError(
                f'{columns.source}: no image is left by attributes={self.attributes} and filter_cfg'
            )
        return frames

    def _refuse_other_classes(self, known: np.ndarray) -> None:
        if len(known) and not known.any():
            raise ValueError(
                f'{self._columns.source}: none of its {len(known)} boxes is of the classes '
                f'{", ".join(self._metainfo["classes"])}; its categories are {", ".join(self._columns.classes)}'
            )

    def _tell_classes(self, known: np.ndarray, useful: np.ndarray) -> None:
        """Say which boxes the classes leave out, and which classes have nothing to learn from."""
        source, classes = self._columns.source, self._metainfo['classes']
        if not known.all():
            print_log(
                f'{source}: {int((~known).sum())} of {len(known)} boxes are left out: they are of other classes '
                f'than {", ".join(classes)}',
                logger='current',
            )
        found = {self._columns.classes[c] for c in np.unique(useful)}
        none = [name for name in classes if name not in found]
        if self.ann_file and none and not self.test_mode:
            print_log(f'{source}: there is no box to learn {", ".join(none)} from', logger='current')

    def _check_images(self) -> None:
        frames = range(len(self._frames) if self.check_images else 1)
        missing = [p for p in (self.img_path(i) for i in frames) if not Path(p).is_file()]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(frames)} images checked are missing, the first is {missing[0]}: '
                f'set data_root and data_prefix so that the frames of {self._columns.source} are found'
            )

    # ------------------------------------------------------------------- access

    def __len__(self) -> int:
        if not self._fully_initialized:
            self.full_init()
        return len(self._frames)

    @property
    def columns(self) -> Columns:
        """All frames and boxes of the label file."""
        self.full_init()
        return self._columns

    @force_full_init
    def frame_keys(self) -> list[Any]:
        """What tells the frames of the samples apart, in their order: their names."""
        return [self._columns.names[row] for row in self._frames]

    def img_path(self, idx: int) -> str:
        """Where the image of a sample is."""
        return str(Path(self.data_prefix.get('img', '')) / self._columns.names[self._frames[idx]])

    def _boxes(self, idx: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(k, 4) boxes, (k,) labels and (k,) ignore flags of a sample."""
        row = self._frames[idx]
        part = slice(self._first[row], self._first[row + 1])
        columns = self._columns
        labels = self._labels[columns.category[part]]
        ignore = columns.ignored[part] | columns.crowd[part]
        keep = (labels >= 0) & ~ignore if self.ignored == 'drop' else labels >= 0
        boxes = columns.xyxy[part][keep]
        boxes[:, 2:] += 1
        return boxes, labels[keep], ignore[keep]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        idx = range(len(self))[idx]
        boxes, labels, ignore = self._boxes(idx)
        width, height = self._size(idx)
        return self._named_sample(idx) | dict(
            width=width,
            height=height,
            instances=[
                dict(bbox=b, bbox_label=c, ignore_flag=int(i))
                for b, c, i in zip(boxes.tolist(), labels.tolist(), ignore.tolist())
            ],
        )

    def _named_sample(self, idx: int) -> dict:
        row = self._frames[idx]
        return dict(
            img_path=self.img_path(idx), img_id=int(row), file_name=self._columns.names[row], sample_idx=idx
        )

    def _size(self, idx: int) -> tuple[int, int]:
        if self.image_size is not None:
            return tuple(self.image_size)
        size = self._sizes[self._frames[idx]]
        if not size[0]:
            size[:] = size_in_header(self.img_path(idx))
        return int(size[0]), int(size[1])

    def _without_image(self, idx: int) -> dict:
        return self._named_sample(idx) | dict(instances=[])

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        return self._boxes(idx)[1].tolist()

    def _subset(self, indices: int | Sequence[int]) -> np.ndarray:
        every = np.arange(len(self._frames))
        if isinstance(indices, int):
            chosen = every[:indices] if indices >= 0 else every[indices:]
        else:
            beyond = [i for i in indices if not -len(every) <= i < len(every)]
            if beyond:
                raise ValueError(
                    f'{self._columns.source}: it has {len(every)} images, none of index {beyond[0]}'
                )
            chosen = every[np.asarray(indices, int)]
        if not len(chosen):
            raise ValueError(f'{self._columns.source}: no image is left by indices={indices}')
        return chosen

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        self._frames = self._frames[self._subset(indices)]

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> ScalabelDetDataset:
        other = copy.copy(self)
        other.get_subset_(indices)
        return other


@DATASETS.register_module()
class BDD100KDetDataset(ScalabelDetDataset):
    """`ScalabelDetDataset` with BDD100K's ten classes, or some of them (``metainfo=dict(classes=...)``), in any order.

    The names of 2018 (person, bike, motor) are mapped, other persons, other vehicles and trailers are ignored
    regions, and other categories are refused.
    """

    CATEGORIES = BDD100K
    METAINFO = dict(
        classes=DET_CLASSES,
        palette=[
            (220, 20, 60),
            (255, 0, 0),
            (0, 0, 142),
            (0, 0, 70),
            (0, 60, 100),
            (0, 80, 100),
            (0, 0, 230),
            (119, 11, 32),
            (250, 170, 30),
            (220, 220, 0),
        ],
    )

    @classmethod
    def _named(cls, classes: Sequence[str]) -> tuple[str, ...]:
        return det_classes(classes)

    @classmethod
    def _palette(cls, classes: Sequence[str]) -> list[tuple[int, int, int]]:
        return [cls.METAINFO['palette'][DET_CLASSES.index(name)] for name in classes]

    def _refuse_other_classes(self, known: np.ndarray) -> None:
        """Nothing: that a file of the ten lacks the few asked for is told."""
