"""Scores and result files of video models."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.evaluation.functional import YTVIS, YTVISeval
from mmdet.registry import METRICS
from mmengine.logging import MMLogger

from ...bdd100k.run_metric import RunMetric
from ...bdd100k.sem_seg import confusion
from ...files import OutputNames, write_image
from ...mask2former.metric import sem_seg_scores
from ..ranking_metrics import ranking_scores
from .annotations import of_videos, read_annotations
from .consistency import video_consistency
from .results import to_results, write_results

#: Names of the numbers that YouTube-VIS's evaluation gives, in its order.
YTVIS_NUMBERS = (
    *('AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l'),
    *('AR1', 'AR10', 'AR100', 'AR_s', 'AR_m', 'AR_l'),
)


def mean_iou_of_mmseg(counts: np.ndarray) -> float:
    """mmseg's mIoU in percent of a confusion matrix (C, C + 1): the mean over the classes that are in the ground
    truth or predicted, where `sem_seg_scores` has those in the ground truth."""
    right = np.diag(counts)
    union = counts.sum(1) + counts[:, :-1].sum(0) - right
    return 100 * float((right[union > 0] / union[union > 0]).mean())


@METRICS.register_module()
class VideoSemSegMetric(RunMetric):
    """VSPW's scores in percent: `sem_seg_scores` with ``mIoU_mmseg``, ``VC8`` and ``VC16`` (`video_consistency`
    with the masks' own values, as published: the mean over all windows of all videos), and of models that rank
    classes ``ranking/recall@K``, ``ranking/precision@K`` and ``ranking/AP`` (the mean over clips).

    Args:
        windows: The n of VC_n.
        top_k: The K of recall@K.
        **kwargs: As `RunMetric`. The files are ``VIDEO/FRAME.png`` (uint8 class indices), the form of submissions.
    """

    default_prefix = None
    LEFT_OUT = ''

    def __init__(
        self,
        windows: Sequence[int] = (8, 16),
        top_k: Sequence[int] = (5, 10, 20),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.windows, self.top_k = list(windows), list(top_k)
        self._outputs = OutputNames(self.format_dir) if self.format_dir else None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            frames = sample['video_data_samples']
            preds = np.stack([frame.pred_sem_seg.data[0].cpu().numpy() for frame in frames])
            if self._outputs is not None:
                for frame, pred in zip(frames, preds, strict=True):
                    write_image(self._outputs.path(f'{frame.img_id}.png', source=frame.img_path), pred)
            self.results.append(None if self.format_only else self._score(sample, preds))

    def _score(self, sample: dict, preds: np.ndarray) -> dict:
        frames = sample['video_data_samples']
        for frame in frames:
            if 'gt_sem_seg' not in frame:
                raise ValueError(f'{frame.img_path}: no ground truth to score against; use --format-only')
        gts = np.stack([frame.gt_sem_seg.data[0].cpu().numpy() for frame in frames])
        raw = np.stack([getattr(f.gt_sem_seg, 'raw', f.gt_sem_seg.data)[0].cpu().numpy() for f in frames])
        num_classes = len(self.dataset_meta['classes'])
        rankings = []
        for clip, ranking in sample.get('rankings', ()):
            present = torch.zeros(num_classes, dtype=torch.bool)
            present[[int(label) for label in np.unique(gts[clip]) if label < num_classes]] = True
            if present.any():
                rankings.append(ranking_scores(torch.as_tensor(ranking), present, self.top_k))
        return dict(
            counts=sum(confusion(gt, pred, num_classes) for gt, pred in zip(gts, preds, strict=True)),
            windows={n: video_consistency(raw, preds, n) for n in self.windows},
            rankings=rankings,
        )

    def compute_metrics(self, results: list) -> dict[str, float]:
        if self.format_dir is not None:
            MMLogger.get_current_instance().info(f'{len(results)} videos written to {self.format_dir}')
        if self.format_only:
            return {}
        counts = sum(result['counts'] for result in results)
        scores = {**sem_seg_scores(counts), 'mIoU_mmseg': mean_iou_of_mmseg(counts)}
        for n in self.windows:
            values = np.concatenate([result['windows'][n] for result in results])
            known = values[~np.isnan(values)]
            scores[f'VC{n}'] = 100 * float(known.mean()) if len(known) else float('nan')
        rankings = [values for result in results for values in result['rankings']]
        for name in rankings[0] if rankings else ():
            scores[f'ranking/{name}'] = 100 * float(np.mean([values[name] for values in rankings]))
        return scores


@METRICS.register_module()
class YTVISMetric(RunMetric):
    """YouTube-VIS: ``results.json`` with its zip, and AP where the annotations are there, in percent, over the
    videos that were run.

    Args:
        ann_file: The annotation file: of a local holdout (``split_ytvis.py``) or, without annotations, of the
            validation or test videos, whose server is closed.
        **kwargs: As `RunMetric`. The files are ``results.json`` and ``results.zip``.

    Raises:
        FileNotFoundError, ValueError: As `read_annotations`, or the file has no annotations to score against.
    """

    default_prefix = 'ytvis'
    LEFT_OUT = ''

    def __init__(self, ann_file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ann_file = ann_file
        if not self.format_only:
            self._annotations()  # before the run, not after it

    def _annotations(self) -> dict:
        content = read_annotations(self.ann_file)
        if not content.get('annotations'):
            raise ValueError(
                f'{self.ann_file} has no annotations to score against: use --format-only, or a holdout of the '
                f'training videos (mmroad data split-ytvis)'
            )
        return content

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            video_id = sample['video_data_samples'][0].video_id
            self.results.append((video_id, to_results(video_id, sample['pred_tracks'])))

    def compute_metrics(self, results: list[tuple[Any, list[dict]]]) -> dict[str, float]:
        tracks = [track for _, video in results for track in video]
        logger = MMLogger.get_current_instance()
        if self.format_dir is not None:
            path = write_results(tracks, self.format_dir)
            logger.info(f'{len(tracks)} tracks of {len(results)} videos written to {path} and its zip')
        if self.format_only:
            return {}
        content, run = self._annotations(), {video for video, _ in results}
        every = {video['id'] for video in content['videos']}
        if unknown := run - every:
            raise ValueError(
                f'{self.ann_file} lacks {len(unknown)} of the {len(run)} videos that were run, such as '
                f'{min(unknown, key=str)!r}: the annotations must be those of the test set'
            )
        if run < every:
            logger.info(
                f'{len(run)} of the {len(every)} videos of {self.ann_file} were run: scores are over these'
            )
        if not tracks:
            logger.warning(f'no track was predicted in {len(run)} videos: every number is 0')
        values, table = ytvis_ap(of_videos(content, run), tracks)
        logger.info('\n' + table)
        return values


def ytvis_ap(annotations: dict, tracks: list[dict]) -> tuple[dict[str, float], str]:
    """YouTube-VIS's own evaluation.

    Args:
        annotations: An annotation file's content.
        tracks: ``results.json``'s content.

    Returns:
        The numbers of `YTVIS_NUMBERS` in percent (NaN where nothing of a kind is in the ground truth; 0 where
        nothing was predicted), and the official table.
    """
    # the evaluation takes a match with an annotation of id 0 for none
    truth = [dict(ann, id=number) for number, ann in enumerate(annotations['annotations'], 1)]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        truth = YTVIS({**annotations, 'annotations': truth})
        found = truth.loadRes(tracks) if tracks else YTVIS({**annotations, 'annotations': []})
        evaluation = YTVISeval(truth, found, 'segm')
        evaluation.params.vidIds = truth.getVidIds()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    table = '\n'.join(line for line in text.getvalue().splitlines() if 'Average' in line)
    stats = [float(value) for value in evaluation.stats]
    values = [100 * value if value >= 0 else float('nan') for value in stats]
    return dict(zip(YTVIS_NUMBERS, values, strict=True)), table
