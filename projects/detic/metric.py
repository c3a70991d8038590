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
#: Detections an image may have, over all classes (LVIS, OpenImages) or of a class (COCO).
MAX_DETECTIONS = dict(coco=100, lvis=300, openimages=300)


@METRICS.register_module()
class OpenVocabularyMetric(BaseMetric):
    """Scores in percent, under ``PROTOCOL/IOU_TYPE_NAME``.

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
        found = self._records(results, [c['id'] for c in categories])
        if self.format_dir:
            self._write(found)
        if self.format_only:
            return {}
        scores = {}
        if self.protocol == 'openimages':
            aps = expanded_ap50(truth, found)
            scores['bbox_AP50'] = percent(np.array([a for a in aps.values() if np.isfinite(a)]))
        else:
            for iou_type in self.iou_types:
                precision = self._precision(found, iou_type) if found else None
                scores |= self._summary(precision, categories, iou_type)
        print_log(' '.join(f'{k} {v:.2f}' for k, v in scores.items()), logger='current')
        return scores

    def _records(self, results: list[dict], ids: list[int]) -> list[dict]:
        records = []
        for r in results:
            if len(r['labels']) and r['labels'].max() >= len(ids):
                raise ValueError(
                    f'{self.ann_file} has {len(ids)} classes, but image {r["image_id"]} a detection of class '
                    f"{r['labels'].max()}: is the model's vocabulary that of the data set?"
                )
            for i, (box, score, label) in enumerate(zip(r['boxes'].tolist(), r['scores'], r['labels'])):
                record = dict(image_id=r['image_id'], category_id=ids[label], bbox=box, score=float(score))
                if 'masks' in r:
                    rle = r['masks'][i]
                    record['segmentation'] = dict(size=list(rle['size']), counts=rle['counts'].decode())
                records.append(record)
        return records

    def _write(self, found: list[dict]) -> None:
        Path(self.format_dir).mkdir(parents=True, exist_ok=True)
        for iou_type in self.iou_types:
            path = Path(self.format_dir) / f'{self.protocol}.{iou_type}.json'
            part = path.with_name(f'.{path.name}.part')
            left_out = {'bbox'} if iou_type == 'segm' else {'segmentation'}
            part.write_text(json.dumps([{k: v for k, v in f.items() if k not in left_out} for f in found]))
            os.replace(part, path)
            print_log(f'written: {path}', logger='current')

    def _precision(self, found: list[dict], iou_type: str) -> np.ndarray:
        """(IoUs, recalls, classes, areas), -1 where a class has no ground truth."""
        import hotcoco

        records = found
        if iou_type == 'segm':  # the area of a detection is its mask's
            records = [{k: v for k, v in f.items() if k != 'bbox'} for f in found]
        with contextlib.redirect_stdout(io.StringIO()):
            truth = hotcoco.COCO(str(self.ann_file))
            if self.protocol == 'lvis':
                limited = hotcoco.LVISResults(truth, records, max_dets=MAX_DETECTIONS['lvis'])
                run = hotcoco.LVISeval(truth, limited, iou_type)
            else:
                run = hotcoco.COCOeval(truth, truth.load_res(records), iou_type)
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


def percent(precision: np.ndarray) -> float:
    """100 x the mean of what is defined (not -1); NaN where nothing is."""
    defined = precision[precision > -1]
    return 100 * float(defined.mean()) if defined.size else float('nan')
