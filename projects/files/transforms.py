"""The loading of label maps that every segmentation pipeline names (importing this registers it)."""

from __future__ import annotations

from collections.abc import Collection

import mmengine.fileio as fileio
import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from .label_maps import read_label_map


@TRANSFORMS.register_module()
class LoadLabelMap(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` with the checks of `read_label_map`: ``gt_seg_map`` (H, W) from
    ``seg_map_path``.

    Args:
        num_classes: Values of the file must be 0 to ``num_classes`` - 1, one more where ``reduce_zero_label``
            makes 255 of 0; None allows all. Of a data set whose ``metainfo`` names some of its own classes, the
            file holds all of these.
        ignored: Values that are allowed beside; of outliers, 254 too.
        reduce_zero_label, backend_args: As for mmseg.

    Raises:
        FileNotFoundError, ValueError: As `read_label_map`.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignored: Collection[int] = (255,),
        reduce_zero_label: bool | None = None,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(reduce_zero_label=reduce_zero_label, backend_args=backend_args)
        self.num_classes, self.ignored = num_classes, tuple(ignored)

    def _load_seg_map(self, results: dict) -> None:
        path, label_map = results['seg_map_path'], results.get('label_map')
        reduce = results['reduce_zero_label']
        if self.reduce_zero_label not in (None, reduce):
            raise ValueError(
                f'{path}: its data set has reduce_zero_label={reduce}, {type(self).__name__} has '
                f'{self.reduce_zero_label}; both must be the same'
            )
        known = len(label_map) if label_map else self.num_classes
        remote = self.backend_args is not None or '://' in str(path)
        labels = read_label_map(
            path,
            size=results.get('ori_shape'),
            num_classes=None if known is None else known + bool(reduce),
            ignored=self.ignored,
            content=fileio.get(path, backend_args=self.backend_args) if remote else None,
        )
        if reduce:
            labels = np.where((labels == 0) | (labels == 255), 255, labels - 1).astype(labels.dtype)
        if label_map:
            old, labels = labels, labels.copy()
            for old_id, new_id in label_map.items():
                labels[old == old_id] = new_id
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_classes={self.num_classes}, ignored={self.ignored}, '
            f'reduce_zero_label={self.reduce_zero_label})'
        )
