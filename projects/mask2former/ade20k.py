"""ADE20K's panoptic segmentation: data set, label maps, and PQ, AP and mIoU of one run.

Files are those of Mask2Former's ``datasets/prepare_ade20k_{sem,ins,pan}_seg.py``. Its 150 category ids are the
semantic classes' indices. The model's classes are mmdet's, things first; categories are matched by id, as
some names differ between the files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.datasets import ADE20KPanopticDataset, BaseDetDataset
from mmdet.datasets.api_wrappers import COCOeval
from mmdet.datasets.transforms import LoadAnnotations, LoadPanopticAnnotations
from mmdet.evaluation import CocoMetric
from mmdet.registry import DATASETS, METRICS, TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import MMLogger, print_log

from ..bdd100k.run_metric import RunMetric
from ..files import OutputNames, write_json
from ..files.json_files import read_json
from ..files.label_maps import described, read_label_map
from ..files.png import open_image, write_png
from .metric import PublishedIoUMetric

#: Category ids of the 50 classes that are no countable things.
STUFF = (
    0, 1, 2, 3, 4, 5, 6, 9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54, 59, 60, 61, 63, 68, 77,
    79, 84, 91, 94, 96, 99, 100, 101, 105, 106, 109, 113, 114, 117, 122, 128, 131, 140, 141, 145,
)  # fmt: skip
THINGS = tuple(i for i in range(150) if i not in STUFF)
#: The category id of each class of the model.
CATEGORIES = THINGS + STUFF


def segment_ids(image: np.ndarray) -> np.ndarray:
    """COCO's color code of segments: RGB (H, W, 3) uint8 to ids (H, W) int32."""
    return image.astype(np.int32) @ np.array([1, 256, 256**2], np.int32)


def read_segments(path: str | Path, size: tuple[int, int] | None, ids: Collection[int]) -> np.ndarray:
    """A panoptic PNG as ids (H, W) int32, 0 for no segment.

    Args:
        size: Height and width that it must have.
        ids: The segments that its JSON file lists: all of them, and no others, must be there.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such PNG; the message names the file and what is wrong.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such panoptic PNG')
    try:
        with open_image(path) as image:
            mode, values = image.mode, np.asarray(image)
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        raise ValueError(f'{path}: not an image that can be read ({described(error)})') from error
    if mode != 'RGB':
        raise ValueError(f"{path}: Pillow's mode {mode}, expected RGB, whose colors code segments")
    if size is not None and values.shape[:2] != tuple(size):
        raise ValueError(f'{path}: {values.shape[:2]} pixels (height, width), its image has {tuple(size)}')
    if len(set(ids)) < len(ids) or 0 in ids:
        raise ValueError(f'{path}: its JSON file lists a segment twice, or one with id 0, which is none')
    segments = segment_ids(values)
    counts = [np.count_nonzero(segments == i) for i in (0, *ids)]  # a sort takes ten times as long
    if not all(counts[1:]) or sum(counts) != segments.size:
        there = set(np.unique(segments).tolist()) - {0}
        unlisted, missing = (sorted(a)[:5] for a in (there - set(ids), set(ids) - there))
        raise ValueError(
            f'{path}: its segments are not those that its JSON file lists for the image: '
            f'{unlisted or "none"} are not listed, {missing or "none"} are not in the picture'
        )
    return segments


def _read_json(path: str | Path, *keys: str) -> dict:
    """A JSON file with some lists."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: no such file; Mask2Former's datasets/prepare_ade20k_*_seg.py makes it"
        ) from None
    missing = [k for k in keys if not isinstance(content, dict) or not isinstance(content.get(k), list)]
    if missing:
        raise ValueError(f'{path}: no list {" and ".join(missing)} in it')
    return content


@DATASETS.register_module()
class ADE20KPanopticIdDataset(BaseDetDataset):
    """ADE20K's images with panoptic segments; for ``data_prefix=dict(img=..., seg=...)``.

    mmdet's ``ADE20KPanopticDataset`` matches categories by name and so loses "window" and "plane", which the
    published preparation writes "window " and "plane".

    Raises:
        ValueError: Categories or images are not those of the preparation; the message names the file.
    """

    METAINFO = ADE20KPanopticDataset.METAINFO

    def load_data_list(self) -> list[dict]:
        content = _read_json(self.ann_file, 'categories', 'images', 'annotations')
        things = {c.get('id') for c in content['categories'] if c.get('isthing')}
        if things != set(THINGS) or len(content['categories']) != len(CATEGORIES):
            raise ValueError(
                f'{self.ann_file}: categories are not the 100 things and 50 stuff classes of '
                f"Mask2Former's prepare_ade20k_pan_seg.py"
            )
        annotations = {a.get('image_id'): a for a in content['annotations']}
        items = []
        for image in content['images']:
            name = image.get('id', image.get('file_name'))
            if name not in annotations:
                raise ValueError(f'{self.ann_file}: image {name!r} has no annotation')
            try:
                items.append(self._item(image, annotations[name]))
            except KeyError as error:
                raise ValueError(
                    f'{self.ann_file}: image {name!r}: no {error} in it or in its annotation'
                ) from error
        return items

    def _item(self, image: dict, annotation: dict) -> dict:
        label = {category: i for i, category in enumerate(CATEGORIES)}
        segments = []
        for segment in annotation['segments_info']:
            if segment['category_id'] not in label:
                raise ValueError(
                    f'{self.ann_file}: image {image["id"]!r}: segment {segment["id"]} has the category '
                    f'{segment["category_id"]!r}, which is none of the 150'
                )
            segments.append(dict(segment, label=label[segment['category_id']]))
        return dict(
            img_path=os.path.join(self.data_prefix['img'], image['file_name']),
            img_id=image['id'],
            seg_map_path=os.path.join(self.data_prefix['seg'], annotation['file_name']),
            height=image['height'],
            width=image['width'],
            instances=[_instance(s) for s in segments if s['label'] < len(THINGS)],
            segments_info=[
                dict(id=s['id'], category=s['label'], is_thing=s['label'] < len(THINGS)) for s in segments
            ],
        )


def _instance(segment: dict) -> dict:
    x, y, width, height = segment['bbox']
    return dict(bbox=[x, y, x + width, y + height], bbox_label=segment['label'], ignore_flag=0)


@TRANSFORMS.register_module()
class LoadPanopticMap(LoadPanopticAnnotations):
    """mmdet's loading of panoptic PNGs, without panopticapi (which PyPI does not have) and with the checks of
    `read_segments`."""

    def __init__(self, **kwargs) -> None:
        LoadAnnotations.__init__(
            self, with_bbox=True, with_label=True, with_mask=True, with_seg=True, **kwargs
        )

    def _load_masks_and_semantic_segs(self, results: dict) -> None:
        if results.get('seg_map_path') is None:
            return
        infos = results['segments_info']
        ids = read_segments(results['seg_map_path'], results.get('ori_shape'), [info['id'] for info in infos])
        labels, masks = np.full_like(ids, 255), []
        for info in infos:
            mask = ids == info['id']
            labels[mask] = info['category']
            if info['is_thing']:
                masks.append(mask.astype(np.uint8))
        if self.with_mask:
            results['gt_masks'] = BitmapMasks(masks, *ids.shape)
        if self.with_seg:
            results['gt_seg_map'] = labels


@METRICS.register_module()
class ADE20KPanopticMetric(RunMetric):
    """``PQ``, ``SQ`` and ``RQ`` of all classes, things (``_th``) and stuff (``_st``), in percent; NaN where
    neither truth nor predictions have any of these.

    Predictions are written in COCO's panoptic form and scored by hotcoco as by panopticapi.

    Args:
        ann_file: Ground truth, such as ``ade20k_panoptic_val.json``.
        seg_prefix: The folder of its PNGs.
        **kwargs: As `RunMetric`. The files are ``panoptic/NAME.png`` and ``panoptic.json``; without ``format_dir``
            they are temporary.
    """

    default_prefix = 'panoptic'
    LEFT_OUT = ''

    def __init__(
        self,
        ann_file: str | None = None,
        seg_prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not self.format_only and (ann_file is None or seg_prefix is None):
            raise ValueError('ADE20KPanopticMetric: scores need ann_file and seg_prefix')
        self.ann_file, self.seg_prefix = ann_file, seg_prefix
        self._temporary = None
        if self.format_dir is None:  # ranks of one machine share the first one's
            self._temporary = tempfile.TemporaryDirectory() if is_main_process() else None
            shared = [self._temporary.name if self._temporary else None]
            broadcast_object_list(shared)
            self.format_dir = Path(shared[0])
        self._names = OutputNames(self.format_dir / 'panoptic')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            segments = sample['pred_panoptic_seg']['sem_seg'].squeeze(0).cpu().numpy()
            ids, infos = _number(segments)
            path = self._names.path(Path(sample['img_path']).name, '.png', source=sample['img_path'])
            code = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
            write_png(path, code)
            self.results.append(dict(image_id=sample['img_id'], file_name=path.name, segments_info=infos))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        path = self.format_dir / 'panoptic.json'
        write_json(path, dict(annotations=results))
        if self.format_only:
            return {}
        from hotcoco.panoptic import PanopticEval

        truth, predicted = _numbered(
            _read_json(self.ann_file, 'images', 'annotations', 'categories'), results
        )
        folders = dict(gt_folder=str(self.seg_prefix), pred_folder=str(path.with_suffix('')))
        evaluation = PanopticEval(truth, predicted, **folders)
        evaluation.evaluate()
        MMLogger.get_current_instance().info('\n' + '\n'.join(evaluation.summary_lines()))
        found = evaluation.results()
        splits = dict(All='', Things='_th', Stuff='_st')
        return {
            f'{score.upper()}{suffix}': 100 * value if (value := found[split][score]) >= 0 else float('nan')
            for split, suffix in splits.items()
            for score in ('pq', 'sq', 'rq')
        }


def _number(segments: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """mmdet's panoptic map (class + 1000 x instance; 150 for none) as ids from 1, and their categories."""
    values, index = np.unique(segments, return_inverse=True)
    classes = values % 1000
    known = classes < len(CATEGORIES)
    ids = np.where(known, np.cumsum(known), 0).astype(np.int32)
    infos = [
        dict(id=int(i), category_id=CATEGORIES[c]) for i, c, k in zip(ids, classes, known, strict=True) if k
    ]
    return ids[index].reshape(segments.shape), infos


def _numbered(truth: dict, predicted: list[dict]) -> tuple[dict, dict]:
    """Ground truth and predictions of the images that were predicted; hotcoco wants these numbered, where
    ADE20K's files have names."""
    number = {p['image_id']: i for i, p in enumerate(predicted)}

    def renumber(annotations: list[dict]) -> list[dict]:
        return [dict(a, image_id=number[a['image_id']]) for a in annotations if a['image_id'] in number]

    images = [dict(image, id=number[image['id']]) for image in truth['images'] if image['id'] in number]
    annotations = renumber(truth['annotations'])
    return dict(truth, images=images, annotations=annotations), dict(annotations=renumber(predicted))


@METRICS.register_module()
class ADE20KInstanceMetric(CocoMetric):
    """mmdet's ``CocoMetric`` for a panoptic model's instances against ``ade20k_instance_val.json``: things are
    matched by category id, and the scores ``segm_mAP``, ``segm_mAP_50`` ... (shares; -1 where there is no truth
    of a size) are not rounded.

    Args:
        metric: ``segm`` or ``bbox``, or both.

    Raises:
        ValueError: Another metric, or ``classwise``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.cat_ids = list(THINGS)
        if self.classwise or not set(self.metrics) <= {'bbox', 'segm'}:
            raise ValueError(f'{type(self).__name__} gives segm and bbox, without classwise')
        if self._coco_api is None and not self.format_only:
            raise ValueError(f'{type(self).__name__}: scores need ann_file')

    def compute_metrics(self, results: list) -> dict[str, float]:
        truth, scores = self._coco_api, {}
        with tempfile.TemporaryDirectory() as folder:
            prefix = self.outfile_prefix or os.path.join(folder, 'results')
            files = self.results2json([prediction for _, prediction in results], prefix)
            if self.format_only:
                return {}
            found = {metric: read_json(files[metric]) for metric in self.metrics}
        names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
        for metric, detections in found.items():
            if not detections:
                print_log(f'{metric}: no instance was predicted, so all scores are 0', logger='current')
                scores |= {f'{metric}_{name}': 0.0 for name in names}
                continue
            if metric == 'segm':  # or else the areas would be the boxes'
                detections = [{k: v for k, v in d.items() if k != 'bbox'} for d in detections]
            evaluation = COCOeval(truth, truth.loadRes(detections), metric)
            evaluation.params.catIds = self.cat_ids
            evaluation.params.imgIds = self.img_ids or truth.get_img_ids()
            evaluation.params.maxDets, evaluation.params.iouThrs = list(self.proposal_nums), self.iou_thrs
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            scores |= {f'{metric}_{name}': float(v) for name, v in zip(names, evaluation.stats)}
        return scores


@METRICS.register_module()
class ADE20KPanopticIoUMetric(PublishedIoUMetric):
    """Semantic scores of a panoptic model against ADE20K's semantic maps, which know more pixels than the
    panoptic ones.

    Args:
        seg_prefix: The folder of label maps, 0 for no class, then the 150 (``annotations/validation``).
    """

    def __init__(self, seg_prefix: str, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.seg_prefix = Path(seg_prefix)

    def maps(self, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        predicted = sample['pred_sem_seg']['sem_seg'].squeeze(0).cpu()
        labels = read_label_map(
            self.seg_prefix / f'{Path(sample["img_path"]).stem}.png',
            size=tuple(predicted.shape),
            num_classes=len(CATEGORIES) + 1,
        )
        return labels - np.uint8(1), torch.tensor(CATEGORIES)[predicted].numpy()  # 0 becomes 255
