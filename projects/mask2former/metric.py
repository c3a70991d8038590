"""Semantic scores as detectron2 computes them, and with it Mask2Former's and RankSeg's papers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from ..bdd100k.sem_seg import confusion


def sem_seg_scores(counts: np.ndarray) -> dict[str, float]:
    """``mIoU``, ``mAcc`` (means over classes with ground truth), ``fIoU`` and ``pAcc`` in percent.

    A class without ground truth is left out of the means even where it is predicted; mmseg's ``IoUMetric``
    counts it with an IoU of 0.

    Args:
        counts: The sum of ``mmroad.bdd100k.sem_seg.confusion`` over a dataset.

    Raises:
        ValueError: No pixel has a class.
    """
    right = np.diag(counts).astype(np.float64)
    true, predicted = counts.sum(1), counts[:, :-1].sum(0)
    found = true > 0
    if not found.any():
        raise ValueError('no pixel of the ground truth has a class: nothing to score')
    iou = right[found] / (true + predicted - right)[found]
    return dict(
        mIoU=100 * iou.mean(),
        mAcc=100 * (right[found] / true[found]).mean(),
        fIoU=100 * (iou * true[found]).sum() / true.sum(),
        pAcc=100 * right.sum() / true.sum(),
    )


@METRICS.register_module()
class PublishedIoUMetric(BaseMetric):
    """`sem_seg_scores` of ``pred_sem_seg`` against ``gt_sem_seg``; pixels outside the classes do not count."""

    default_prefix = 'published'

    def maps(self, sample: dict) -> tuple[np.ndarray, np.ndarray]:
        """A sample's true and predicted classes, (H, W) each."""
        return tuple(sample[key]['data'].squeeze(0).cpu().numpy() for key in ('gt_sem_seg', 'pred_sem_seg'))

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            try:
                self.results.append(confusion(*self.maps(sample), len(self.dataset_meta['classes'])))
            except ValueError as error:
                raise ValueError(f'{sample.get("img_path", "an image")}: {error}') from error

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        return sem_seg_scores(sum(results))
