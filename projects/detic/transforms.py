"""Training augmentation and packing."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import to_tensor
from mmdet.datasets.transforms import PackDetInputs, Resize
from mmdet.registry import TRANSFORMS

#: What a packed sample carries beyond mmdet's meta information.
META_KEYS = ('ann_type', 'image_labels', 'caption_embedding', 'vocabulary', 'file_name')


@TRANSFORMS.register_module()
class EfficientDetResizeCrop(Resize):
    """Scale to fit a square of ``size`` times a random factor, then crop a random ``size`` window.

    The image is not padded. Boxes left without area are dropped.

    Args:
        size: Pixels.
        scale_range: Of the factor.
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
            results['gt_masks'] = masks.crop(np.array([left, top, right, bottom]))
        return results


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
