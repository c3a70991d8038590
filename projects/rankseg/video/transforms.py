"""Transforms of one frame of a video, and packing of a clip."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackTrackInputs
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import PixelData

from mmroad.media import read_image

from ..mixin import CLASSES_KEY

IGNORED = 255


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """A frame (H, W, 3) uint8 BGR from ``img_path``; errors name the file."""

    def transform(self, results: dict) -> dict:
        results['img'] = image = read_image(results['img_path'])
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadVideoLabels(BaseTransform):
    """The classes of one frame, ``gt_seg_map`` (H, W) uint8 with 255 for none, from ``seg_map_path``; nothing
    where there is none."""

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:
            return results
        raw = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if raw is None or raw.ndim != 2:
            raise ValueError(f'{path}: not a mask of one channel that can be read')
        labels = raw.astype(np.int16) - results['label_offset']
        outside = (labels < 0) | (labels >= results['num_classes'])
        results['gt_seg_map'] = np.where(outside, IGNORED, labels).astype(np.uint8)
        return results


@TRANSFORMS.register_module()
class LabelsToInstances(BaseTransform):
    """One instance for each class in a frame's ``gt_seg_map``, with the class as its label and track."""

    def transform(self, results: dict) -> dict:
        labels = results.pop('gt_seg_map')
        classes = np.unique(labels)
        classes = classes[classes != IGNORED].astype(np.int64)
        masks = (labels == classes[:, None, None]).astype(np.uint8)
        results['gt_masks'] = BitmapMasks(masks, *labels.shape)
        results['gt_bboxes_labels'] = results['gt_instances_ids'] = classes
        return results


@TRANSFORMS.register_module()
class PackVideoInputs(PackTrackInputs):
    """mmdet's packing, which adds a frame's label map as ``gt_sem_seg`` and its classes as ``gt_classes`` in
    the metainfo (oracle mode reads them)."""

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        frames = packed['data_samples'].video_data_samples
        for frame, labels in zip(frames, results.get('gt_seg_map', ())):
            frame.gt_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
            frame.set_metainfo({CLASSES_KEY: [int(c) for c in np.unique(labels) if c != IGNORED]})
        return packed
