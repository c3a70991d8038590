"""Scores of a folder of images on disk, one ``NAME.npz`` each, and the statistics of sml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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
        """Take in logits (N, C, H, W); sums are merged as in Chan et al., so that large counts stay exact."""
        value, label = (x.flatten().cpu() for x in logits.max(1))
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
        """``mean``, ``var`` and ``count`` per class. Classes never predicted take those of all pixels."""
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


def save_scores(
    path: str | Path, scores: dict[str, np.ndarray], classes: np.ndarray, probs: np.ndarray | None = None
) -> None:
    """Write scores (H, W), classes (H, W) and perhaps class probabilities (C, H, W) as ``.npz``."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    arrays = {f'score_{name}': value.astype(np.float32) for name, value in scores.items()}
    if probs is not None:
        arrays['probs'] = probs.astype(np.float16)
    with part.open('wb') as file:
        np.savez(file, classes=classes.astype(np.uint8), **arrays)
    os.replace(part, path)


def load_scores(
    folder: str | Path, masks: str | Path
) -> Iterator[tuple[str, dict[str, np.ndarray], np.ndarray]]:
    """The saved images and their masks, in the order of the names.

    Yields:
        The name, the arrays of :func:`save_scores` (scores as ``score_NAME``) and the mask
        (H, W) of 0 (in), 1 (out) or anything else (ignored).

    Raises:
        FileNotFoundError: The folder holds no scores, or an image has no mask.
        ValueError: A mask has another size than its scores.
    """
    from PIL import Image

    files = sorted(Path(folder).glob('*.npz'))
    if not files:
        raise FileNotFoundError(f'{folder}: no .npz file; tools/analysis_tools/save_scores.py writes them')
    for file in files:
        mask_file = Path(masks) / f'{file.stem}.png'
        if not mask_file.is_file():
            raise FileNotFoundError(f'{mask_file}: no mask of {file.name}')
        with np.load(file) as content:
            arrays = {k: content[k] for k in content.files}
        with Image.open(mask_file) as image:
            mask = np.asarray(image)
        if mask.shape != arrays['classes'].shape:
            raise ValueError(f'{mask_file} is {mask.shape}, the scores are {arrays["classes"].shape}')
        yield file.stem, arrays, mask
