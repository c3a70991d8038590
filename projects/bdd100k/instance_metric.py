"""The metrics of BDD100K's instance and panoptic segmentation: official scores, and prediction files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import print_log

from ..files import write_json
from .bitmasks import bitmask, frame_json, read_segments, to_frame
from .eval import ins_seg, pan_seg
from .eval.det import align, scores_of
from .eval.masks import MaskFrame, read_png
from .eval.result import Scores
from .format import Prediction, write_predictions
from .metric import to_columns
from .run_metric import PicturesMetric


class _SegmentsMetric(PicturesMetric):
    """Scores of the images that were run, by the ground truth that their data set has: bitmasks or codes.

    Args:
        **kwargs: As `RunMetric`.

    Raises:
        LabelFileError: The ground truth cannot be used; names the file.
        ValueError: An image has no ground truth, or images of several folders share a name; names them.
    """

    default_prefix = 'bdd100k'
    FOLDER = 'bitmasks'

    def _truth(self, sample: dict) -> str | MaskFrame:
        if sample.get('truth') is None:
            raise ValueError(
                f'{sample["img_path"]}: its data set has no labels to score by: set data_prefix.bitmask or ann_file, '
                'or write predictions only (--format-only --format-dir OUT)'
            )
        return sample['truth']


@METRICS.register_module()
class BDD100KInsSegMetric(_SegmentsMetric):
    __doc__ = f"""{_SegmentsMetric.__doc__}
    Predicted masks are painted onto one another, the best score on top, as the bitmasks are that the official tool and
    its server read. ``AP`` and so on are of these masks, ``box_AP`` and so on of the predicted boxes (COCO's
    evaluation; the official tool has none). Files: ``bitmasks/NAME.png``, ``score.json``, and of the boxes
    ``det.json`` and ``det.coco.json``.
    """

    def _result(self, sample: dict) -> dict:
        name, found = Path(sample['img_path']).name, sample['pred_instances']
        scores, masks = found['scores'].double().cpu().numpy(), found['masks'].cpu().numpy()
        categories = self._categories()[found['labels'].cpu().numpy()]
        order = np.argsort(-scores, kind='stable')
        segment = np.zeros(masks.shape[1:], np.uint16)
        for rank, i in reversed(list(enumerate(order.tolist(), 1))):
            segment[masks[i]] = rank
        pixels = bitmask(segment, categories[order], np.arange(1, len(order) + 1))
        boxes = found['bboxes'].double().tolist()
        boxes = Prediction(int(sample['img_id']), name, boxes, scores.tolist(), (categories - 1).tolist())
        result = dict(scores=scores[order].tolist(), boxes=boxes)
        self._save(sample, pixels)
        if not self.format_only:
            self._compare(result, self._truth(sample), segment, pixels, categories[order])
        return result

    def _categories(self) -> np.ndarray:
        """Of the model's classes, those of the files."""
        return np.array([ins_seg.CLASSES.index(name) + 1 for name in self.dataset_meta['classes']])

    def _compare(self, result: dict, truth: str | MaskFrame, segment, pixels, categories) -> None:
        name = result['boxes'].name
        if isinstance(truth, MaskFrame):
            there = [r for r in range(1, len(categories) + 1) if (segment == r).any()]
            masks, scores = [segment == r for r in there], [result['scores'][r - 1] for r in there]
            names = [ins_seg.CLASSES[categories[r - 1] - 1] for r in there]
            result['frames'] = truth, to_frame(name, masks, names, scores)
        else:
            ids = list(enumerate(result['scores'], 1))
            result['match'] = ins_seg.match_bitmasks(
                read_png(Path(truth), 4), pixels, Path(truth), Path(name), ids
            )
        found = read_segments(truth, ins_seg.CLASSES)
        boxes = Prediction(
            result['boxes'].index, name, found.boxes().tolist(), [1.0] * len(found.masks),
            (found.categories - 1).tolist(),
        )  # fmt: skip
        result['true_boxes'] = boxes, found.ignored

    def _write(self, results: list[dict], folder: Path) -> None:
        frames = []
        for r in results:
            labels = [dict(id=str(i), index=i, score=score) for i, score in enumerate(r['scores'], 1)]
            frames.append(dict(name=r['boxes'].name, labels=labels))
        write_json(folder / 'score.json', frames)
        write_predictions((r['boxes'] for r in results), folder, len(results), ins_seg.CLASSES)
        print_log(f'{len(results)} bitmasks, score.json and det.json written to {folder}', 'current')

    def _scores(self, results: list[dict]) -> dict[str, float]:
        boxes = self._box_scores(results)
        results.sort(key=lambda result: result['boxes'].name)
        if 'frames' in results[0]:
            masks = ins_seg.scores_of_codes([r['frames'] for r in results], 'predictions')
        else:
            masks = ins_seg.scores_of_matches([r['match'] for r in results])
        classes = [name for name in ins_seg.CLASSES if name in self.dataset_meta['classes']]
        masks, boxes = masks.over(classes), boxes.over(classes)
        print_log(f'boxes:\n{boxes.table()}\nmasks:\n{masks.table()}', logger='current')
        return masks.summary() | {f'box_{key}': value for key, value in boxes.summary().items()}

    @staticmethod
    def _box_scores(results: list[dict]) -> Scores:
        truth = to_columns([r['true_boxes'][0] for r in results], ins_seg.CLASSES)
        crowd = np.concatenate([r['true_boxes'][1] for r in results])
        pred = to_columns([r['boxes'] for r in results], ins_seg.CLASSES)
        return scores_of(align(replace(truth, crowd=crowd, source='ground truth'), pred))


@METRICS.register_module()
class BDD100KPanSegMetric(_SegmentsMetric):
    __doc__ = f"""{_SegmentsMetric.__doc__}
    ``PQ``, ``SQ``, ``RQ`` of all classes, and ``PQ/THING``, ``PQ/STUFF`` and of each class. Files: ``pan_seg.json``
    (Scalabel frames with run-length codes), which both evaluators read, and ``bitmasks/NAME.png``, of which the
    official one takes 100 segments at most.
    """

    def _result(self, sample: dict) -> dict:
        things = len(pan_seg.THINGS)
        found = sample['pred_panoptic_seg']['sem_seg'].squeeze(0).cpu().numpy()
        values, segment = np.unique(found, return_inverse=True)
        labels = values % 1000
        none = labels >= len(pan_seg.CLASSES)
        rank = np.cumsum(~none) * ~none
        values, labels, segment = values[~none], labels[~none], rank[segment.reshape(found.shape)]
        categories = np.where(labels < things, labels + len(pan_seg.STUFF) + 1, labels - things + 1)
        is_thing = labels < things
        ids = np.where(is_thing, len(pan_seg.STUFF) + np.cumsum(is_thing), categories)
        pixels = bitmask(segment, categories, ids)
        self._save(sample, pixels)
        masks = [segment == i for i in range(1, len(values) + 1)]
        frame = to_frame(Path(sample['img_path']).name, masks, [pan_seg.CLASSES[c - 1] for c in categories])
        result = dict(frame=frame, ids=values.tolist())
        if not self.format_only:
            truth = self._truth(sample)
            if isinstance(truth, MaskFrame):
                result.update(stats=pan_seg.frame_stats(truth, frame), key='NUM')
            else:
                true = read_png(Path(truth), 4)
                stats = pan_seg.bitmask_stats(true, pixels, Path(truth), Path(frame.name), len(ids))
                result.update(stats=stats[:, 1 : len(pan_seg.CLASSES) + 1], key='N')
        return result

    def _write(self, results: list[dict], folder: Path) -> None:
        write_json(folder / 'pan_seg.json', [frame_json(r['frame'], r['ids']) for r in results])
        print_log(f'{len(results)} bitmasks and pan_seg.json written to {folder}', 'current')
        many = [r['frame'].name for r in results if len(r['ids']) > pan_seg.MAX_SEGMENTS]
        if many:
            print_log(
                f'{len(many)} images have more than {pan_seg.MAX_SEGMENTS} segments, such as {many[0]}: the '
                'official tool does not take their bitmasks; score pan_seg.json',
                'current', logging.WARNING,
            )  # fmt: skip

    def _scores(self, results: list[dict]) -> dict[str, float]:
        scores = pan_seg.pq_scores(sum(r['stats'] for r in results), results[0]['key'])
        print_log(scores.table(), logger='current')
        return scores.summary() | {f'PQ/{name}': value for name, value in scores['PQ'][1].items()}
