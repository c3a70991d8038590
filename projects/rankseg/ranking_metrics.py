"""How well a ranking finds the classes of an image: recall@K, precision@K, average precision.

As published: every image counts once; images without a class are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from torch import Tensor


def recall_at(ranking: Tensor, present: Tensor, k: int) -> Tensor:
    """The share of an image's classes among its K best, (B,).

    Args:
        ranking: Classes by rank, (B, R), R >= k.
        present: (B, C) bool.
    """
    return _hits(ranking, present)[:, :k].sum(1) / present.sum(1)


def precision_at(ranking: Tensor, present: Tensor, k: int) -> Tensor:
    """The share of an image's K best that are in it, (B,). Arguments as for `recall_at`."""
    return _hits(ranking, present)[:, :k].sum(1) / k


def average_precision(ranking: Tensor, present: Tensor) -> Tensor:
    """Each image's mean, over its classes, of the precision at that class's rank, (B,); a class beyond the
    ranking counts 0. Arguments as for `recall_at`."""
    hits = _hits(ranking, present)
    ranks = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    return (hits * hits.cumsum(1) / ranks).sum(1) / present.sum(1)


def _hits(ranking: Tensor, present: Tensor) -> Tensor:
    return present.gather(1, ranking).double()


def ranking_scores(ranking: Tensor, present: Tensor, top_k: Sequence[int]) -> dict[str, float]:
    """``AP``, ``recall@K`` and ``precision@K`` of one image or clip, from 0 to 1.

    Args:
        ranking: All classes by rank, (C,).
        present: (C,) bool.
        top_k: The K's; those beyond the classes are taken as all classes.
    """
    ranking, present = ranking[None], present[None]
    values = {'AP': average_precision(ranking, present)}
    for k in top_k:
        values[f'recall@{k}'] = recall_at(ranking, present, k)
        values[f'precision@{k}'] = precision_at(ranking, present, min(k, ranking.shape[1]))
    return {name: value.item() for name, value in values.items()}


@METRICS.register_module()
class RankingMetric(BaseMetric):
    """``recall@K``, ``precision@K`` and ``AP`` of the ranking that models with `RankSeg` leave in their
    samples (``ranking``), in percent.

    Args:
        top_k: The K's; those beyond the classes are taken as all classes.
    """

    default_prefix = 'ranking'

    def __init__(
        self, top_k: Sequence[int] = (5, 10, 20), collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.top_k = list(top_k)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            if 'ranking' not in sample:
                raise ValueError(
                    f'{sample.get("img_path", "a sample")} has no ranking: RankingMetric scores models with '
                    f'RankSeg; its oracle mode ranks nothing'
                )
            present = _ground_truth(sample, num_classes)
            if present.any():
                ranking = torch.as_tensor(sample['ranking']).cpu()
                self.results.append(ranking_scores(ranking, present, self.top_k))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        if not results:
            raise ValueError('RankingMetric: no image has a class in its ground truth')
        return {name: 100 * float(np.mean([r[name] for r in results])) for name in results[0]}


def _ground_truth(sample: dict, num_classes: int) -> Tensor:
    """The classes of a sample's semantic ground truth, or the recorded ones, (C,) bool."""
    if 'gt_classes' in sample:
        labels = torch.as_tensor(sample['gt_classes'], dtype=torch.long)
    else:
        labels = sample['gt_sem_seg']['data'].unique().long().cpu()
    present = torch.zeros(num_classes, dtype=torch.bool)
    present[labels[labels < num_classes]] = True
    return present
