"""AP of open-vocabulary detection: COCO's and LVIS's protocols with groups of classes, OpenImages' AP50."""

from __future__ import annotations

import contextlib
import io
import logging
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from ..bdd100k.run_metric import RunMetric
from ..files import write_json
from ..files.rle import areas, checked_rle
from .lvis_style import Annotation, AnnotationFile, Category, read_categories, read_lvis_style
from .openimages import HIERARCHY, expanded_ap50, places_of_best, read_hierarchy
from .vocabulary import plain_name

PROTOCOLS = ('coco', 'lvis', 'openimages')
#: Detections of an image that count with LVIS and OpenImages.
MAX_DETECTIONS = 300

#: (folder, prefix) -> the metric that writes there.
_WRITERS: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


@METRICS.register_module()
class OpenVocabularyMetric(RunMetric):
    """Scores in percent, under ``PROTOCOL/IOU_TYPE_NAME``.

    The best 300 detections of an image count with LVIS and OpenImages, the best 100 of a class with COCO. With
    LVIS and OpenImages what has no area counts neither as detection nor as ground truth. The images that were run
    are scored, all or a part of the file's.

    Args:
        ann_file: Ground truth; predicted labels are the rows of its categories in the order of their ids.
        protocol: ``coco`` (also Objects365), ``lvis`` (judges a class only on images verified for it) or
            ``openimages`` (AP50 with expanded labels and groups; boxes only).
        iou_types: ``bbox``, ``segm`` or both.
        groups: Name -> class names, or a letter of LVIS's frequency; adds ``NAME_AP`` and ``NAME_AP50``.
        hierarchy: OpenImages' class hierarchy, for ``bbox_AP50_expand``: detections count as the classes above
            their own too. By default the published file where it lies beside ``ann_file``.
        prefix: By default the protocol.
        **kwargs: As `RunMetric`. The files are ``PREFIX.IOU_TYPE.json``, in COCO's result format.

    Raises:
        FileNotFoundError: No ``ann_file`` or ``hierarchy``.
        ValueError: An argument, a group's class or the form of a file is wrong, or two metrics would write the
            same files.
    """

    LEFT_OUT = ''

    def __init__(
        self,
        ann_file: str,
        protocol: str = 'coco',
        iou_types: Sequence[str] = ('bbox',),
        groups: Mapping[str, str | Sequence[str]] | None = None,
        hierarchy: str | None = None,
        prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix=prefix or protocol, **kwargs)
        if protocol not in PROTOCOLS:
            raise ValueError(f'protocol must be one of {PROTOCOLS}, not {protocol!r}')
        self.ann_file, self.protocol = ann_file, protocol
        self.iou_types = (iou_types,) if isinstance(iou_types, str) else tuple(iou_types)
        possible = ('bbox',) if protocol == 'openimages' else ('bbox', 'segm')
        if not self.iou_types or not set(self.iou_types) <= set(possible):
            raise ValueError(f'iou_types of {protocol} must be of {possible}, not {self.iou_types}')
        self.categories, self._images = read_categories(ann_file)
        if max(map(abs, (*self._images, self.categories[-1].id)), default=0) > 2**53:
            raise ValueError(f'{ann_file}: ids beyond 2**53 cannot be told apart in numbers of 64 bits')
        self.groups = {name: self._columns(members) for name, members in (groups or {}).items()}
        self._above = self._hierarchy(hierarchy)
        if self.format_dir:
            self._claim(self.format_dir.resolve())

    def _hierarchy(self, path: str | None) -> dict[int, set[int]] | None:
        if self.protocol != 'openimages':
            if path is not None:
                raise ValueError(
                    f'hierarchy={path} belongs to the protocol openimages, not to {self.protocol}'
                )
            return None
        beside = Path(self.ann_file).with_name(HIERARCHY)
        if path is None and not beside.is_file():
            print_log(f'bbox_AP50_expand is left out: it needs {beside} (or hierarchy=FILE)', 'current')
            return None
        return read_hierarchy(path or beside, self.categories)

    def _claim(self, folder: Path) -> None:
        other = _WRITERS.setdefault((folder, self.prefix), self)
        if other.ann_file != self.ann_file:
            raise ValueError(
                f'the metrics of {other.ann_file} and {self.ann_file} would both write {folder}/{self.prefix}.*: '
                'give one of them another prefix=NAME or format_dir'
            )

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set (of several: a list)."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | list[dict]) -> None:
        """Raises ValueError where the data set has other classes than ``ann_file``."""
        self._dataset_meta = meta
        sets = [m.get('classes') for m in (meta if isinstance(meta, (list, tuple)) else [meta]) if m]
        own = [c.name for c in self.categories]
        plain = [plain_name(n) for n in own]
        if all(c and [plain_name(n) for n in c] != plain for c in sets) and sets:
            found = '; '.join(f'{len(c)} ({", ".join(c[:5])} ...)' for c in sets)
            raise ValueError(
                f'{self.ann_file} has {len(own)} categories ({", ".join(own[:5])} ...), the data set has other '
                f'classes: {found}. Give the evaluator the ann_file of the data set'
            )

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        from pycocotools import mask

        for sample in data_samples:
            found = sample['pred_instances']
            boxes = np.array(found['bboxes'].cpu().numpy(), float)  # a copy: others may read them too
            boxes[:, 2:] -= boxes[:, :2]
            scores = found['scores'].double().cpu().numpy()
            finite = np.isfinite(boxes).all(1) & np.isfinite(scores)
            result = dict(image_id=sample['img_id'], boxes=boxes[finite], scores=scores[finite])
            result |= dict(labels=found['labels'].cpu().numpy()[finite], dropped=int((~finite).sum()))
            if 'segm' in self.iou_types:
                if 'masks' not in found:
                    raise ValueError(
                        f'image {sample["img_id"]} has no masks to score: the model must predict them '
                        "(test_cfg.rcnn.masks), or iou_types=['bbox']"
                    )
                masks = found['masks'].cpu().numpy()[finite].astype(np.uint8)
                result['masks'] = [mask.encode(np.asfortranarray(m)) for m in masks]
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Scores of the detections of all images that were run."""
        self._check(results)
        rows = self._rows(results)
        masks = [rle for r in results for rle in r.get('masks', ())]
        if self.format_dir:
            self._write(rows, masks)
        if self.format_only:
            return {}
        truth = self._truth({r['image_id'] for r in results})
        scores = {}
        if self.protocol == 'openimages':
            content = as_dict(truth.images, truth.annotations, self.categories, False)
            found = dict(AP50=None) | ({} if self._above is None else dict(AP50_expand=self._above))
            for name, above in found.items():
                aps = np.array(list(expanded_ap50(content, rows, MAX_DETECTIONS, above).values()))
                scores[f'bbox_{name}'] = percent(aps[np.isfinite(aps)])
        else:
            for iou_type in self.iou_types:
                scores |= self._summary(self._precision(truth, rows, masks, iou_type), iou_type)
        print_log(' '.join(f'{k} {v:.2f}' for k, v in scores.items()), logger='current')
        return scores

    def _check(self, results: list[dict]) -> None:
        unknown = sorted({r['image_id'] for r in results} - self._images)
        if unknown or not results:
            raise ValueError(
                f'{self.ann_file} has no images {unknown[:5]} ({len(unknown)} of {len(results)} that were run): '
                'give the evaluator the ann_file of the data set'
            )
        dropped = [r['image_id'] for r in results if r['dropped']]
        if dropped:
            print_log(
                f'left out: {sum(r["dropped"] for r in results)} detections with a box or score that is no '
                f'number, in images {dropped[:5]} ({len(dropped)} images)',
                logger='current',
                level=logging.WARNING,
            )

    def _rows(self, results: list[dict]) -> np.ndarray:
        """(n, 7) image id, x, y, w, h, score, category id."""
        ids = np.array([c.id for c in self.categories])
        parts = [np.zeros((0, 7))]
        for r in results:
            if len(r['labels']) and r['labels'].max() >= len(ids):
                raise ValueError(
                    f'{self.ann_file} has {len(ids)} classes, but image {r["image_id"]} a detection of class '
                    f"{r['labels'].max()}: is the model's vocabulary that of the data set?"
                )
            images = np.full(len(r['labels']), r['image_id'])
            parts.append(np.column_stack([images, r['boxes'], r['scores'], ids[r['labels']]]))
        return np.concatenate(parts)

    def _write(self, rows: np.ndarray, masks: list[dict]) -> None:
        for iou_type in self.iou_types:
            path = self.format_dir / f'{self.prefix}.{iou_type}.json'
            write_json(path, records(rows, masks if iou_type == 'segm' else None))
            print_log(f'written: {path}', logger='current')

    def _truth(self, run: set[int]) -> AnnotationFile:
        """The ground truth of the images that were run."""
        truth = read_lvis_style(self.ann_file)
        if len(run) < len(truth.images):
            print_log(f'scored: the {len(run)} of {len(truth.images)} images that were run', 'current')
        truth.images = [i for i in truth.images if i.id in run]
        sizes = {i.id: (i.height, i.width) for i in truth.images}
        kept = []
        for number, a in enumerate(truth.annotations):
            if a.image_id in run:
                place = f'{self.ann_file}: annotations[{number}], image {a.image_id}'
                _complete(a, sizes[a.image_id], 'segm' in self.iou_types, place)
                kept.append(a)
        truth.annotations = kept
        return truth

    def _precision(
        self, truth: AnnotationFile, rows: np.ndarray, masks: list[dict], iou_type: str
    ) -> np.ndarray:
        """(IoUs, recalls, classes, areas), -1 where a class has no ground truth."""
        import hotcoco

        segm = iou_type == 'segm'
        annotations = truth.annotations
        if self.protocol == 'lvis':  # as its API: the best of an image, then what has an area
            best = places_of_best(rows, MAX_DETECTIONS)
            rows, masks = rows[best], [masks[i] for i in best] if segm else []
            area = areas(masks) if segm else rows[:, 3] * rows[:, 4]
            rows, masks = rows[area > 0], [m for m, a in zip(masks, area) if a > 0]
            annotations = [a for a in annotations if a.area > 0]
        content = as_dict(truth.images, annotations, self.categories, segm, crowds=self.protocol != 'lvis')
        with contextlib.redirect_stdout(io.StringIO()):
            gt = hotcoco.COCO(content)
            # records of masks have no boxes, so that their areas are the masks'
            found = gt.load_res(records(rows, masks) if segm else rows)
            evaluator = hotcoco.LVISeval if self.protocol == 'lvis' else hotcoco.COCOeval
            run = evaluator(gt, found, iou_type)
            run.evaluate()
            run.accumulate()
        precision = np.asarray(run.eval['precision'])
        return precision[..., -1] if precision.ndim == 5 else precision

    def _summary(self, precision: np.ndarray, iou_type: str) -> dict[str, float]:
        everything = precision[..., 0]
        scores = dict(AP=everything, AP50=everything[0], AP75=everything[5])
        scores |= {f'AP{size}': precision[..., i + 1] for i, size in enumerate('sml')}
        if self.protocol == 'lvis' and all(c.frequency is not None for c in self.categories):
            scores |= {f'AP{f}': everything[:, :, self._columns(f)] for f in 'rcf'}
        for name, columns in self.groups.items():
            part = everything[:, :, columns]
            scores |= {f'{name}_AP': part, f'{name}_AP50': part[0]}
        return {f'{iou_type}_{name}': percent(part) for name, part in scores.items()}

    def _columns(self, members: str | Sequence[str]) -> list[int]:
        """The rows of a group's classes: names, or a letter of LVIS's frequency."""
        names = [c.name for c in self.categories]
        if isinstance(members, str):
            if members in names or members not in 'rcf':
                return self._columns([members])
            return [i for i, c in enumerate(self.categories) if c.frequency == members]
        unknown = sorted(set(members) - set(names))
        if unknown:
            raise ValueError(f'{self.ann_file} has no classes named {", ".join(unknown)}')
        return [names.index(m) for m in members]


def as_dict(
    images: Sequence,
    annotations: Sequence[Annotation],
    categories: Sequence[Category],
    masks: bool,
    crowds: bool = True,
) -> dict[str, list[dict]]:
    """Ground truth in COCO's form; annotations are numbered anew, from 1 (COCO's tools take 0 for "no match")."""
    found = []
    for number, a in enumerate(annotations, 1):
        record = dict(id=number, image_id=a.image_id, category_id=a.category_id, bbox=a.bbox, area=a.area)
        record['iscrowd'] = a.iscrowd if crowds else 0
        if masks:
            record['segmentation'] = a.segmentation
        found.append(record)
    keys = ('id', 'width', 'height', 'pos_category_ids', 'neg_category_ids', 'not_exhaustive_category_ids')
    return dict(
        images=[{key: getattr(i, key) for key in keys} for i in images],
        annotations=found,
        categories=[dict(id=c.id, name=c.name, frequency=c.frequency) for c in categories],
    )


def _complete(annotation: Annotation, size: tuple[int, int], masks: bool, place: str) -> None:
    """Check an annotation's mask, where masks are scored, and give it the area that it does not tell: the mask's,
    else the box's."""
    mask = annotation.segmentation
    if masks and not mask:
        raise ValueError(f"{place}: no segmentation, so masks cannot be scored: iou_types=['bbox']")
    if isinstance(mask, dict) and (masks or annotation.area is None):
        try:
            mask = annotation.segmentation = checked_rle(mask.get('counts', ()), mask.get('size', ()))
        except ValueError as error:
            raise ValueError(f'{place}: segmentation: {error}') from error
    if annotation.area is None:
        from pycocotools import mask as coco_mask

        if isinstance(mask, list) and mask:
            mask = coco_mask.merge(coco_mask.frPyObjects(mask, *size))
        annotation.area = float(coco_mask.area(mask)) if mask else annotation.bbox[2] * annotation.bbox[3]


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
