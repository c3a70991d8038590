"""Transforms of one frame of a video, and packing of a clip."""

from __future__ import annotations

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackTrackInputs
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import PixelData

from ...files import read_image
from ...files.label_maps import read_label_map
from ..mixin import CLASSES_KEY

IGNORED = 255


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """A frame (H, W, 3) uint8 BGR from ``img_path``.

    Raises:
        FileNotFoundError, ValueError: It cannot be read, or has another size than its annotations say; names it.
    """

    def transform(self, results: dict) -> dict:
        results['img'] = image = read_image(results['img_path'])
        results['img_shape'] = results['ori_shape'] = size = image.shape[:2]
        said = tuple(results.get(key) for key in ('height', 'width'))
        if None not in said and said != size:
            raise ValueError(
                f'{results["img_path"]} has {size[0]} x {size[1]} pixels (height x width), its annotations say '
                f'{said[0]} x {said[1]}'
            )
        return results


@TRANSFORMS.register_module()
class LoadVideoLabels(BaseTransform):
    """The classes of one frame, ``gt_seg_map`` (H, W) uint8 with 255 for none, and the mask's own values,
    ``raw_seg_map`` (H, W), from ``seg_map_path``; nothing where there is none.

    ``label_offset`` is taken from the values to give classes; values below it have no class, as have
    ``ignored_labels``.

    Raises:
        FileNotFoundError, ValueError: The mask is none (`read_label_map`), has another size than its frame or
            other values; names it.
    """

    def transform(self, results: dict) -> dict:
        path = results.get('seg_map_path')
        if path is None:
            return results
        offset, num_classes = results['label_offset'], results['num_classes']
        raw = read_label_map(
            path,
            size=results.get('ori_shape'),
            num_classes=num_classes + offset,
            ignored=results.get('ignored_labels', (IGNORED,)),
        )
        labels = raw.astype(np.int32) - offset
        outside = (labels < 0) | (labels >= num_classes)
        results['gt_seg_map'] = np.where(outside, IGNORED, labels).astype(np.uint8)
        results['raw_seg_map'] = raw
        return results


@TRANSFORMS.register_module()
class LabelsToInstances(BaseTransform):
    """One instance for each class in a frame's ``gt_seg_map``, with the class as its label and track.

    Raises:
        ValueError: The frame has no label map.
    """

    def transform(self, results: dict) -> dict:
        if 'gt_seg_map' not in results:
            raise ValueError(f'{results["img_path"]}: a frame without a mask cannot be trained on')
        results.pop('raw_seg_map', None)
        labels = results.pop('gt_seg_map')
        classes = np.unique(labels)
        classes = classes[classes != IGNORED].astype(np.int64)
        masks = (labels == classes[:, None, None]).astype(np.uint8)
        results['gt_masks'] = BitmapMasks(masks, *labels.shape)
        results['gt_bboxes_labels'] = results['gt_instances_ids'] = classes
        return results


@TRANSFORMS.register_module()
class PackVideoInputs(PackTrackInputs):
    """mmdet's packing of a clip's frames, which must be of one size. It adds a frame's label map as ``gt_sem_seg``,
    its mask's own values as ``raw`` in it, and its classes as ``gt_classes`` in the metainfo (oracle mode reads
    them).

    Raises:
        ValueError: Frames of two sizes; names them.
    """

    def transform(self, results: dict) -> dict:
        sizes = results.get('ori_shape', ())
        for path, size in zip(results.get('img_path', ()), sizes):
            if size != sizes[0]:
                raise ValueError(
                    f'frames of one video have two sizes (height, width): {results["img_path"][0]} {sizes[0]}, '
                    f'{path} {size}; resize them, with their masks, or make two videos of them'
                )
        packed = super().transform(results)
        frames = packed['data_samples'].video_data_samples
        maps = results.get('gt_seg_map', ())
        for frame, labels, raw in zip(frames, maps, results.get('raw_seg_map', maps)):
            frame.gt_sem_seg = PixelData(data=torch.from_numpy(labels)[None], raw=torch.from_numpy(raw)[None])
            frame.set_metainfo({CLASSES_KEY: [int(c) for c in np.unique(labels) if c != IGNORED]})
        return packed
