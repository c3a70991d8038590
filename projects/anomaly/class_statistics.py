"""The statistics of the score sml (standardized max logits)."""

from __future__ import annotations

import torch
from torch import Tensor


class ClassStatistics:
    """Mean and variance of the largest logit per predicted class (Jung et al., "Standardized Max Logits").

    Args:
        num_classes: Classes C.
    """

    def __init__(self, num_classes: int) -> None:
        self.count = torch.zeros(num_classes, dtype=torch.float64)
        self.mean, self.squares = self.count.clone(), self.count.clone()

    def update(self, logits: Tensor) -> None:
        """Add logits (N, C, H, W); sums are merged as in Chan et al., so that large counts stay exact.

        Raises:
            ValueError: They are of another number of classes, or not finite.
        """
        if logits.shape[1] != len(self.count):
            raise ValueError(
                f'logits of {logits.shape[1]} classes, but the statistics are of {len(self.count)}'
            )
        value, label = (x.flatten().cpu() for x in logits.max(1))
        if not value.isfinite().all():
            raise ValueError('logits are not finite: the checkpoint is of a run that diverged')
        value, size = value.double(), len(self.count)
        count = torch.bincount(label, minlength=size).double()
        mean = torch.bincount(label, value, size) / count.clamp_min(1)
        squares = torch.bincount(label, (value - mean[label]) ** 2, size)
        total = (self.count + count).clamp_min(1)
        delta = mean - self.mean
        self.squares += squares + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count += count

    def result(self) -> dict[str, list]:
        """``mean``, ``var`` and ``count`` per class. A class that was never predicted gets those of all
        pixels."""
        seen = self.count > 0
        if not seen.any():
            raise ValueError('no logits were seen: there are no statistics')
        share = self.count / self.count.sum()
        mean = (share * self.mean).sum()
        var = self.squares.sum() / self.count.sum() + (share * (self.mean - mean) ** 2).sum()
        return dict(
            mean=torch.where(seen, self.mean, mean).tolist(),
            var=torch.where(seen, self.squares / self.count.clamp_min(1), var).clamp_min(1e-12).tolist(),
            count=self.count.long().tolist(),
        )
