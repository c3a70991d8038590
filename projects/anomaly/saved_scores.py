"""Scores of a folder of images on disk, one ``NAME.npz`` each, and the statistics of sml."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import replacing
from ..files.label_maps import read_label_map


class ClassStatistics:
    """Mean and variance of the largest logit per predicted class (Jung et al., "Standardized Max Logits").

    Args:
        num_classes: Classes C.
    """

    def __init__(self, num_classes: int) -> None:
        self.count = torch.zeros(num_classes, dtype=torch.float64)
        self.mean, self.squares = self.count.clone(), self.count.clone()

    def update(self, logits: Tensor) -> None:
        """Take in logits (N, C, H, W); sums are merged as in Chan et al., so that large counts stay exact.

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
    arrays = {f'score_{name}': value.astype(np.float32) for name, value in scores.items()}
    if probs is not None:
        arrays['probs'] = probs.astype(np.float16)
    with replacing(path) as part, part.open('wb') as file:
        np.savez(file, classes=classes.astype(np.uint8), **arrays)


def load_scores(
    folder: str | Path, masks: str | Path
) -> Iterator[tuple[str, dict[str, np.ndarray], np.ndarray]]:
    """The saved images and their masks, in the order of the names.

    Yields:
        The name, the arrays of :func:`save_scores` (scores as ``score_NAME``) and the mask
        (H, W) of 0 (in), 1 (out) or anything else (ignored).

    Raises:
        FileNotFoundError: The folder holds no scores, or an image has no mask.
        ValueError: A file cannot be read, lacks ``classes``, or its arrays or its mask have another size.
    """
    files = sorted(path for path in Path(folder).glob('*.npz') if not path.name.startswith('.'))
    if not files:
        raise FileNotFoundError(f'{folder}: no .npz file; mmroad scores save writes them')
    lacking = [file.stem for file in files if not (Path(masks) / f'{file.stem}.png').is_file()]
    if lacking:
        raise FileNotFoundError(
            f'{Path(masks) / lacking[0]}.png: no mask of {lacking[0]}.npz ({len(lacking)} of {len(files)} have none)'
        )
    for file in files:
        arrays = _read(file)
        yield (
            file.stem,
            arrays,
            read_label_map(Path(masks) / f'{file.stem}.png', size=arrays['classes'].shape),
        )


def _read(file: Path) -> dict[str, np.ndarray]:
    hint = 'a file of mmroad scores save is expected'
    try:
        with zipfile.ZipFile(file), np.load(file) as content:  # of no zip, np.load says to unpickle it
            arrays = {key: content[key] for key in content.files}
    except Exception as error:  # NumPy's reader raises nearly anything on a damaged file
        raise ValueError(f'{file}: cannot be read ({type(error).__name__}: {error}); {hint}') from error
    if 'classes' not in arrays:
        raise ValueError(f'{file}: no classes in it, only {", ".join(arrays) or "nothing"}; {hint}')
    size = arrays['classes'].shape
    for key, array in arrays.items():
        if len(size) != 2 or array.shape[-2:] != size or array.ndim != 2 + (key == 'probs'):
            raise ValueError(f'{file}: {key} is {array.shape}, classes {size}; {hint}')
    return arrays
