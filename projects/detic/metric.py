"""AP of open-vocabulary detection: COCO's and LVIS's protocols with groups of classes, OpenImages' AP50."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from .openimages import expanded_ap50

PROTOCOLS = ('coco', 'lvis', 'openimages')


@METRICS.register_module()
class OpenVocabularyMetric(BaseMetric):
    """Scores in percent, under ``PROTOCOL/IOU_TYPE_NAME``.

    The best 300 detections of an image count with LVIS and OpenImages, the best 100 of a class with COCO.

    Args:
        ann_file: Ground truth; predicted labels are the rows of its categories in the order of their ids.
        protocol: ``coco`` (also Objects365), ``lvis`` (judges a class only on images verified for it) or
            ``openimages`` (AP50 with expanded labels and groups; boxes only).
        iou_types: ``bbox``, ``segm`` or both.
        groups: Name -> class names, or a letter of LVIS's frequency; adds ``NAME_AP`` and ``NAME_AP50``.
        format_dir: Folder for the detections in COCO's result format, ``PROTOCOL.IOU_TYPE.json``.
        format_only: Write them and score nothing.
    """

    def __init__(
        self,
        ann_file: str,
        protocol: str = 'coco',
        iou_types: Sequence[str] = ('bbox',),
        groups: Mapping[str, str | Sequence[str]] | None = None,
        format_dir: str | None = None,
        format_only: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix or protocol)
        if protocol not in PROTOCOLS:
            raise ValueError(f'protocol must be one of {PROTOCOLS}, not {protocol!r}')
        if format_only and not format_dir:
            raise ValueError('format_only needs a folder: format_dir=... (tools/test.py: --format-dir OUT)')
        self.ann_file, self.protocol = ann_file, protocol
        self.iou_types = (iou_types,) if isinstance(iou_types, str) else tuple(iou_types)
        self.groups = dict(groups or {})
        self.format_dir, self.format_only = format_dir, format_only

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        from pycocotools import mask

        for sample in data_samples:
            found = sample['pred_instances']
            boxes = found['bboxes'].double().cpu().numpy()
            boxes[:, 2:] -= boxes[:, :2]
            result = dict(image_id=sample['img_id'], boxes=boxes, labels=found['labels'].cpu().numpy())
            result['scores'] = found['scores'].double().cpu().numpy()
            if 'segm' in self.iou_types:
                masks = found['masks'].cpu().numpy().astype(np.uint8)
                result['masks'] = [mask.encode(np.asfortranarray(m)) for m in masks]
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Scores of the detections of all images."""
        truth = json.loads(Path(self.ann_file).read_text())
        categories = sorted(truth['categories'], key=lambda c: c['id'])
        rows = self._rows(results, [c['id'] for c in categories])
        masks = [rle for r in results for rle in r.get('masks', ())]
        if self.format_dir:
            self._write(rows, masks)
        if self.format_only:
            return {}
        scores = {}
        if self.protocol == 'openimages':
            aps = expanded_ap50(truth, rows)
            scores['bbox_AP50'] = percent(np.array([a for a in aps.values() if np.isfinite(a)]))
        else:
            for iou_type in self.iou_types:
                precision = self._precision(rows, masks, iou_type) if len(rows) else None
                scores |= self._summary(precision, categories, iou_type)
        print_log(' '.join(f'{k} {v:.2f}' for k, v in scores.items()), logger='current')
        return scores

    def _rows(self, results: list[dict], ids: list[int]) -> np.ndarray:
        """(n, 7) image id, x, y, w, h, score, category id."""
        parts = [np.zeros((0, 7))]
        for r in results:
            if len(r['labels']) and r['labels'].max() >= len(ids):
                raise ValueError(
                    f'{self.ann_file} has {len(ids)} classes, but image {r["image_id"]} a detection of class '
                    f"{r['labels'].max()}: is the model's vocabulary that of the data set?"
                )
            images = np.full(len(r['labels']), r['image_id'])
            categories = np.array(ids)[r['labels']]
            parts.append(np.column_stack([images, r['boxes'], r['scores'], categories]))
        return np.concatenate(parts)

    def _write(self, rows: np.ndarray, masks: list[dict]) -> None:
        Path(self.format_dir).mkdir(parents=True, exist_ok=True)
        for iou_type in self.iou_types:
            path = Path(self.format_dir) / f'{self.protocol}.{iou_type}.json'
            part = path.with_name(f'.{path.name}.part')
            part.write_text(json.dumps(records(rows, masks if iou_type == 'segm' else None)))
            os.replace(part, path)
            print_log(f'written: {path}', logger='current')

    def _precision(self, rows: np.ndarray, masks: list[dict], iou_type: str) -> np.ndarray:
        """(IoUs, recalls, classes, areas), -1 where a class has no ground truth."""
        import hotcoco

        with contextlib.redirect_stdout(io.StringIO()):
            truth = hotcoco.COCO(str(self.ann_file))
            # records of masks have no boxes, so that their areas are the masks'
            found = truth.load_res(records(rows, masks) if iou_type == 'segm' else rows)
            evaluator = hotcoco.LVISeval if self.protocol == 'lvis' else hotcoco.COCOeval
            run = evaluator(truth, found, iou_type)
            run.evaluate()
            run.accumulate()
        precision = np.asarray(run.eval['precision'])
        return precision[..., -1] if precision.ndim == 5 else precision

    def _summary(
        self, precision: np.ndarray | None, categories: list[dict], iou_type: str
    ) -> dict[str, float]:
        if precision is None:
            precision = np.zeros((10, 101, len(categories), 4))
        everything = precision[..., 0]
        scores = dict(AP=everything, AP50=everything[0], AP75=everything[5])
        scores |= {f'AP{size}': precision[..., i + 1] for i, size in enumerate('sml')}
        groups = self.groups
        if self.protocol == 'lvis' and all('frequency' in c for c in categories):
            scores |= {f'AP{f}': everything[:, :, self._columns(f, categories)] for f in 'rcf'}
        for name, members in groups.items():
            part = everything[:, :, self._columns(members, categories)]
            scores |= {f'{name}_AP': part, f'{name}_AP50': part[0]}
        return {f'{iou_type}_{name}': percent(part) for name, part in scores.items()}

    def _columns(self, members: str | Sequence[str], categories: list[dict]) -> list[int]:
        if isinstance(members, str):
            return [i for i, c in enumerate(categories) if c.get('frequency') == members]
        names = [c['name'] for c in categories]
        unknown = sorted(set(members) - set(names))
        if unknown:
            raise ValueError(f'{self.ann_file} has no classes named {", ".join(unknown)}')
        return [names.index(m) for m in members]


def records(rows: np.ndarray, masks: list[dict] | None = None) -> list[dict]:
    """COCO's result format: boxes, or masks (RLE) where they are given."""
    found = []
    for i, (image, *box, score, category) in enumerate(rows.tolist()):
        record = dict(image_id=int(image), category_id=int(category), score=score)
        if masks is None:
            record['bbox'] = box
        else:
            rle = masks[i]
            record['segmentation'] = dict(size=list(rle['size']), counts=rle['counts'].decode())
        found.append(record)
    return found


def percent(precision: np.ndarray) -> float:
    """100 x the mean of what is defined (not -1); NaN where nothing is."""
    defined = precision[precision > -1]
    return 100 * float(defined.mean()) if defined.size else float('nan')
