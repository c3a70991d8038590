"""Training augmentation and packing."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import to_tensor
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, Resize
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import PolygonMasks

#: What a packed sample carries beyond mmdet's meta information.
META_KEYS = ('ann_type', 'image_labels', 'caption_embedding', 'vocabulary', 'file_name')


@TRANSFORMS.register_module()
class LoadDeticAnnotations(LoadAnnotations):
    """mmdet's, with outlines kept as outlines for the mask head (see ``mask_targets``).

    An image that has run-length codes among its masks gets bitmaps for all of them. An object whose outline has
    fewer than three points is ignored, as in mmdet.
    """

    def _load_masks(self, results: dict) -> None:
        masks = [instance.get('mask') for instance in results.get('instances', ())]
        if any(mask is None for mask in masks):
            raise ValueError(
                f'{results["img_path"]}: an annotation has no segmentation to learn masks from: complete the '
                'file, or train without masks (with_mask=False, and mask_head=None, mask_roi_extractor=None)'
            )
        self.poly2mask = any(isinstance(mask, dict) for mask in masks)
        super()._load_masks(results)


@TRANSFORMS.register_module()
class EfficientDetResizeCrop(Resize):
    """Scale to fit a square of ``size`` times a random factor, then crop a random ``size`` window.

    The image is not padded. Boxes left without area are dropped.

    Args:
        size: Side of the square and of the window in pixels.
        scale_range: The smallest and largest factor.
    """

    def __init__(self, size: int, scale_range: tuple[float, float] = (0.1, 2.0)) -> None:
        super().__init__(scale=(size, size), keep_ratio=True, backend='pillow')
        self.size, self.scale_range = size, scale_range

    def transform(self, results: dict) -> dict:
        h, w = results['img'].shape[:2]
        target = np.random.uniform(*self.scale_range) * self.size
        ratio = min(target / h, target / w)
        results['scale'] = (max(int(w * ratio), 1), max(int(h * ratio), 1))
        self.keep_ratio = False  # the size is exact
        self._resize_img(results)
        self._resize_bboxes(results)
        self._resize_masks(results)
        self._record_homography_matrix(results)
        return self._crop(results)

    def _crop(self, results: dict) -> dict:
        h, w = results['img'].shape[:2]
        top, left = (int(max(0, n - self.size) * np.random.uniform(0, 1)) for n in (h, w))
        bottom, right = min(h, top + self.size), min(w, left + self.size)
        results['img'] = results['img'][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        if 'gt_bboxes' not in results:
            return results
        boxes = results['gt_bboxes']
        boxes.translate_([-left, -top])
        boxes.clip_(results['img_shape'])
        keep = ((boxes.widths > 1e-5) & (boxes.heights > 1e-5)).numpy()
        results['gt_bboxes'] = boxes[keep]
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in results:
                results[key] = results[key][keep]
        if 'gt_masks' in results:
            masks = results['gt_masks'][keep.nonzero()[0]]
            if isinstance(masks, PolygonMasks):
                results['gt_masks'] = _moved(masks, left, top, *results['img_shape'])
            else:
                results['gt_masks'] = masks.crop(np.array([left, top, right, bottom]))
        return results


def _moved(masks: PolygonMasks, left: int, top: int, height: int, width: int) -> PolygonMasks:
    """Outlines seen from a window's corner, whole: the mask head's targets reach beyond the image too."""
    offset = np.array([left, top])
    polygons = [[(p.reshape(-1, 2) - offset).ravel() for p in polygons] for polygons in masks.masks]
    return PolygonMasks(polygons, height, width)


@TRANSFORMS.register_module()
class PackDeticInputs(PackDetInputs):
    """mmdet's packing, with the kind of annotation, image labels, captions and vocabulary."""

    def __init__(self, meta_keys: tuple[str, ...] | None = None) -> None:
        base = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
        super().__init__(meta_keys=meta_keys or base)

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        extra = {key: results[key] for key in META_KEYS if key in results}
        if 'caption_embedding' in extra:
            extra['caption_embedding'] = to_tensor(extra['caption_embedding'])
        packed['data_samples'].set_metainfo(extra)
        return packed
