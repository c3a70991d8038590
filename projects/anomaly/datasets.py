"""Out-of-distribution data sets for mmseg's test loop."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, TRANSFORMS

from ..files.unreadable import LeavesOutImages
from .layouts import find_pairs, read_mask


@DATASETS.register_module()
class AnomalyDataset(LeavesOutImages, BaseSegDataset):
    """Images with masks of outliers, or without, for writing their maps.

    Args:
        layout: A key of ``LAYOUTS``.
        data_root: The data set's folder.

    Raises:
        KeyError, FileNotFoundError, ValueError: See `find_pairs`.
    """

    METAINFO = dict(classes=('inlier', 'outlier'), palette=[[0, 0, 0], [255, 102, 0]])

    def __init__(self, layout: str, data_root: str, **kwargs) -> None:
        self.layout = layout
        super().__init__(data_root=data_root, reduce_zero_label=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        return [
            dict(img_path=str(image), seg_map_path=None if mask is None else str(mask), layout=self.layout,
                 label_map=None, reduce_zero_label=False, seg_fields=[])
            for image, mask in find_pairs(self.layout, self.data_root)
        ]  # fmt: skip


@TRANSFORMS.register_module()
class LoadAnomalyMask(BaseTransform):
    """Reads ``gt_seg_map`` (H, W) of 0, 1 and 255; nothing where the image has no mask."""

    def transform(self, results: dict) -> dict:
        if results['seg_map_path'] is not None:
            mask = read_mask(results['seg_map_path'], results['layout'], results['ori_shape'])
            results['gt_seg_map'] = mask
            results['seg_fields'].append('gt_seg_map')
        return results
