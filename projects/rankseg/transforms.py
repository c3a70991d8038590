"""Which classes an image's ground truth holds."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from .mixin import CLASSES_KEY


@TRANSFORMS.register_module()
class RecordClasses(BaseTransform):
    """Keeps the classes of the label map (``gt_seg_map``) as ``gt_classes``, a sorted list.

    Oracle mode reads them in testing. In training, before a crop, they make the multi-label targets the
    whole image's classes, as published for panoptic segmentation. The packing must list ``gt_classes`` among
    its ``meta_keys``.

    Args:
        ignore_index: The label of pixels without a class.
    """

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        if 'gt_seg_map' not in results:
            raise ValueError(
                f'{results.get("img_path", "an image")}: RecordClasses finds no gt_seg_map; put it after the '
                f'loading of annotations with their label map'
            )
        label_map = results['gt_seg_map']
        if label_map.ndim != 2:
            name = results.get('seg_map_path', 'a label map')
            raise ValueError(
                f'{name}: {label_map.shape}, expected (H, W) of class ids; load it with LoadLabelMap'
            )
        labels = np.unique(label_map)
        results[CLASSES_KEY] = [int(label) for label in labels if label != self.ignore_index]
        return results
