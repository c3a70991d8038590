"""ADE20K's panoptic segmentation: data set, label maps, and PQ, AP and mIoU of one run.

Files are those of Mask2Former's ``datasets/prepare_ade20k_{sem,ins,pan}_seg.py``. Its 150 category ids are the
semantic classes' indices. The model's classes are mmdet's, things first; categories are matched by id, as
some names differ between the files.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmdet.datasets import ADE20KPanopticDataset, BaseDetDataset
from mmdet.datasets.transforms import LoadAnnotations, LoadPanopticAnnotations
from mmdet.evaluation import CocoMetric
from mmdet.registry import DATASETS, METRICS, TRANSFORMS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from PIL import Image

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
    """COCO's colour code of segments: RGB (H, W, 3) uint8 to ids (H, W) int32."""
    return image.astype(np.int32) @ np.array([1, 256, 256**2], np.int32)


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
        content = json.loads(Path(self.ann_file).read_text())
        things = {c['id'] for c in content['categories'] if c['isthing']}
        if things != set(THINGS) or len(content['categories']) != len(CATEGORIES):
            raise ValueError(
                f'{self.ann_file}: categories are not the 100 things and 50 stuff classes of '
                f"Mask2Former's prepare_ade20k_pan_seg.py"
            )
        label = {category: i for i, category in enumerate(CATEGORIES)}
        annotations = {a['image_id']: a for a in content['annotations']}
        items = []
        for image in content['images']:
            if image['id'] not in annotations:
                raise ValueError(f'{self.ann_file}: image {image["id"]!r} has no annotation')
            annotation = annotations[image['id']]
            segments = [dict(s, label=label[s['category_id']]) for s in annotation['segments_info']]
            items.append(
                dict(
                    img_path=os.path.join(self.data_prefix['img'], image['file_name']),
                    img_id=image['id'],
                    seg_map_path=os.path.join(self.data_prefix['seg'], annotation['file_name']),
                    height=image['height'],
                    width=image['width'],
                    instances=[_instance(s) for s in segments if s['label'] < len(THINGS)],
                    segments_info=[
                        dict(id=s['id'], category=s['label'], is_thing=s['label'] < len(THINGS))
                        for s in segments
                    ],
                )
            )
        return items


def _instance(segment: dict) -> dict:
    x, y, width, height = segment['bbox']
    return dict(bbox=[x, y, x + width, y + height], bbox_label=segment['label'], ignore_flag=0)


@TRANSFORMS.register_module()
class LoadPanopticMap(LoadPanopticAnnotations):
    """mmdet's loading of panoptic PNGs, without panopticapi (which PyPI does not have)."""

    def __init__(self, **kwargs) -> None:
        LoadAnnotations.__init__(
            self, with_bbox=True, with_label=True, with_mask=True, with_seg=True, **kwargs
        )
        self.rgb2id = segment_ids


@METRICS.register_module()
class ADE20KPanopticMetric(BaseMetric):
    """``PQ``, ``SQ`` and ``RQ`` of all classes, things (``_th``) and stuff (``_st``), in percent.

    Predictions are written in COCO's panoptic form and scored by hotcoco as by panopticapi.

    Args:
        ann_file: Ground truth, such as ``ade20k_panoptic_val.json``.
        seg_prefix: The folder of its PNGs.
        format_only: Write files only; needs ``format_dir``.
        format_dir: Where to write ``panoptic/NAME.png`` and ``panoptic.json``. None takes a temporary folder.
    """

    default_prefix = 'panoptic'

    def __init__(
        self,
        ann_file: str | None = None,
        seg_prefix: str | None = None,
        format_only: bool = False,
        format_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and format_dir is None:
            raise ValueError('ADE20KPanopticMetric: format_only needs format_dir')
        if not format_only and (ann_file is None or seg_prefix is None):
            raise ValueError('ADE20KPanopticMetric: scores need ann_file and seg_prefix')
        self.ann_file, self.seg_prefix, self.format_only = ann_file, seg_prefix, format_only
        self._temporary = None
        if format_dir is None:  # ranks of one machine share the first one's
            self._temporary = tempfile.TemporaryDirectory() if is_main_process() else None
            shared = [self._temporary.name if self._temporary else None]
            broadcast_object_list(shared)
            format_dir = shared[0]
        self.format_dir = Path(format_dir)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            segments = sample['pred_panoptic_seg']['sem_seg'].squeeze(0).cpu().numpy()
            name = f'{Path(sample["img_path"]).stem}.png'
            ids, infos = _number(segments)
            path = self.format_dir / 'panoptic' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{name}.part')
            code = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
            Image.fromarray(code).save(part, format='PNG')
            os.replace(part, path)
            self.results.append(dict(image_id=sample['img_id'], file_name=name, segments_info=infos))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        path = self.format_dir / 'panoptic.json'
        part = path.with_name(f'.{path.name}.part')
        part.write_text(json.dumps(dict(annotations=results)))
        os.replace(part, path)
        if self.format_only:
            return {}
        from hotcoco.panoptic import PanopticEval

        truth, predicted = _numbered(json.loads(Path(self.ann_file).read_text()), results)
        folders = dict(gt_folder=str(self.seg_prefix), pred_folder=str(path.with_suffix('')))
        evaluation = PanopticEval(truth, predicted, **folders)
        evaluation.evaluate()
        MMLogger.get_current_instance().info('\n' + '\n'.join(evaluation.summary_lines()))
        found = evaluation.results()
        splits = dict(All='', Things='_th', Stuff='_st')
        return {
            f'{score.upper()}{suffix}': 100 * found[split][score]
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
    matched by category id."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.cat_ids = list(THINGS)


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
        labels = np.array(Image.open(self.seg_prefix / f'{Path(sample["img_path"]).stem}.png'))
        predicted = sample['pred_sem_seg']['sem_seg'].squeeze(0).cpu()
        return labels - np.uint8(1), torch.tensor(CATEGORIES)[predicted].numpy()  # 0 becomes 255
