"""A report on a folder of saved anomaly maps: scores, curves, histograms, images."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replacing, write_json
from .io import find_map, load_map
from .layouts import read_mask
from .legacy import LegacyHistogram
from .pixel import PixelMetrics
from .result import Point
from .smiyc import PROTOCOLS, SmiycPixels, component_scores, components, join

BINS = 100
#: Columns of the table of images.
COLUMNS = ('image', 'outliers', 'ap', 'auroc', 'fpr95', 'fpr', 'tpr')


class FolderScores:
    """Scores the maps of a data set; the maps are read twice, one at a time.

    Args:
        pairs: Images and masks (`mmroad.anomaly.layouts.find_pairs`).
        layout: Their layout.
        maps: Folder of the maps, named as the images.
        track: A key of ``PROTOCOLS``: also SMIYC's (or ISSU's) official metrics, from float16 scores.
        legacy: Also Meta-OOD's 100-bin numbers.
        progress: Wraps the images that are gone through, as a progress bar does; called with them and a
            title.

    Raises:
        FileNotFoundError, KeyError, ValueError: An image has no mask or no map, or one of them is unusable or of
            another size; names the files. Whether all files are there is checked before any is read.

    Attributes:
        scores: Of all pixels.
        images: A row of `COLUMNS` per image, the hardest (lowest AP) first; ``fpr`` and ``tpr`` are
            those at the whole set's 95 % threshold. NaN where an image lacks a class.
        histogram: Counts (2, BINS) of inliers and outliers; ``edges`` are its bins'.
        smiyc, legacy: Further numbers by name, empty if not asked for; ``note`` says why there are none.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path | None]],
        layout: str,
        maps: str | Path,
        track: str | None = None,
        legacy: bool = False,
        progress: Callable[[Sequence, str], Iterable] = lambda pairs, title: pairs,
    ) -> None:
        self._layout, self._maps, self._track = layout, maps, track
        checked = self._check_files(pairs)
        self.smiyc: dict[str, float | str] = {}
        self.legacy: dict[str, float | str] = {}
        whole, bins = PixelMetrics(), LegacyHistogram()
        official = SmiycPixels(PROTOCOLS[track].bins if track else 0)
        per_image, low, high = [], math.inf, -math.inf
        for image, mask in progress(checked, 'pixels'):
            values, labels = self._read(image, mask)
            whole.add(values, labels, image.name)
            own = PixelMetrics()
            own.add(values, labels, image.name)
            per_image.append(own.compute())
            finite = values[np.isfinite(values)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            if track and not self.smiyc:
                held = _float16(values)
                if np.isfinite(held).all():
                    official.add(held, labels)
                else:
                    self.smiyc = dict(
                        note=f'SMIYC keeps scores as float16, which those of {image.name} are beyond'
                    )
            if legacy:
                bins.add(values, labels)
        self.scores = whole.compute()
        self.edges = np.linspace(low, high, BINS + 1)
        self.histogram = np.zeros((2, BINS), np.int64)
        both = self.scores.fpr95 is not None
        if legacy and both:
            try:
                self.legacy = bins.compute()._asdict()
            except ValueError as error:  # all scores of a class fell out: the others' numbers stand
                self.legacy = dict(note=str(error))
        if track and both and not self.smiyc:
            self.smiyc = official.compute()._asdict()
        found, rates = [], []
        for image, mask in progress(checked, 'threshold'):
            values, labels = self._read(image, mask)
            rates.append(self._at_threshold(values, labels))
            if track and 'best_f1_threshold' in self.smiyc:
                threshold = float(self.smiyc['best_f1_threshold'])
                found.append(components(_float16(values), labels, threshold, track))
        if found:
            self.smiyc |= component_scores(join(found))
        self.images = sorted(
            (
                (image.name, s.outliers, s.ap, s.auroc, s.fpr95.fpr if s.fpr95 else math.nan, *rate)
                for (image, _), s, rate in zip(checked, per_image, rates)
            ),
            key=lambda row: (math.isnan(row[2]), row[2]),
        )

    def _read(self, image: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
        path = find_map(self._maps, image.stem)
        values, labels = load_map(path), read_mask(mask, self._layout)
        if values.shape != labels.shape:
            raise ValueError(
                f'{path}: the map is {values.shape}, its mask {mask} is {labels.shape} (height, width)'
            )
        return values, labels

    def _check_files(self, pairs: Sequence[tuple[Path, Path | None]]) -> list[tuple[Path, Path]]:
        checked = []
        for image, mask in pairs:
            if mask is None:
                raise ValueError(f'{image}: {self._layout} has no masks, so nothing can be scored')
            checked.append((image, mask))
        missing = []
        for image, _ in pairs:
            try:
                find_map(self._maps, image.stem)
            except FileNotFoundError as error:
                missing.append(error)
        if missing:
            raise FileNotFoundError(f'{missing[0]} ({len(missing)} of {len(pairs)} images have none)')
        return checked

    def _at_threshold(self, values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """FPR and TPR of an image at the whole set's threshold; adds to the histogram."""
        rates = []
        for row, value in enumerate((0, 1)):
            part = values[labels == value]
            # the ends also take infinite scores; one score alone has no bins
            if self.edges[0] < self.edges[-1]:
                self.histogram[row] += np.histogram(np.clip(part, *self.edges[[0, -1]]), self.edges)[0]
            if self.scores.fpr95 and part.size:
                rates.append(float((part >= self.scores.fpr95.threshold).mean()))
            else:
                rates.append(math.nan)
        return rates[0], rates[1]

    def data(self) -> dict:
        """All results for JSON; None stands in place of what is not a number."""
        s = self.scores
        points = [Point(0.0, 0.0, math.inf), *s.curve]
        content = dict(
            pixels=dict(inliers=s.inliers, outliers=s.outliers, ignored=s.ignored, note=s.note),
            threshold95=s.fpr95 and s.fpr95.threshold,
            tpr95=s.fpr95 and s.fpr95.tpr,
            roc_curve=dict(
                fpr=[p.fpr for p in points],
                tpr=[p.tpr for p in points],
                threshold=[p.threshold for p in points],
            ),
            pr_curve=dict(recall=[p.tpr for p in s.curve], precision=[s.precision(p) for p in s.curve]),
            histogram=dict(
                edges=self.edges.tolist(), **dict(zip(('inlier', 'outlier'), self.histogram.tolist()))
            ),
            smiyc=self.smiyc,
            legacy_hist=self.legacy,
            images=[dict(zip(COLUMNS, row)) for row in self.images],
        )
        return plain(content)


def _float16(values: np.ndarray) -> np.ndarray:
    """Scores as SMIYC keeps them; integers stay, as they may not fit."""
    with np.errstate(over='ignore'):
        return values.astype(np.float16) if values.dtype.kind == 'f' else values


def plain(value):
    """A value for JSON, with None in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(folder: str | Path, data: dict) -> None:
    """``data.json``, ``images.csv`` (the hardest first) and ``curves.png`` of `FolderScores.data`."""
    folder = Path(folder)
    write_json(folder / 'data.json', data, indent=1)
    with replacing(folder / 'images.csv') as part, open(part, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(data['images'])
    if data['threshold95'] is not None:
        with replacing(folder / 'curves.png') as part:
            draw(part, data)


def draw(path: str | Path, data: dict) -> None:
    """ROC and precision-recall curve and the histograms of both classes, with the 95 % threshold."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, (roc, pr, hist) = plt.subplots(1, 3, figsize=(13, 4), layout='constrained')
    curve = data['roc_curve']
    roc.plot([*curve['fpr'], 1], [*curve['tpr'], 1])
    roc.axhline(0.95, color='gray', linewidth=0.5)
    roc.set(xlabel='FPR', ylabel='TPR', title=f'ROC: AUROC {data["AUROC"]:.2f}, FPR95 {data["FPR95"]:.2f}')
    pr.plot(data['pr_curve']['recall'], data['pr_curve']['precision'])
    pr.set(xlabel='recall', ylabel='precision', ylim=(0, 1.02), title=f'AP {data["AP"]:.2f}')
    edges = data['histogram']['edges']
    for name in ('inlier', 'outlier'):
        hist.hist(edges[:-1], edges, weights=data['histogram'][name], density=True, alpha=0.6, label=name)
    hist.axvline(data['threshold95'], color='red', linewidth=0.8, label='95 % of outliers above')
    hist.set(xlabel='score', ylabel='density', title='scores')
    hist.legend()
    figure.savefig(path, dpi=110, format='png')
    plt.close(figure)


def further_numbers(smiyc: dict[str, Any], legacy: dict[str, Any]) -> str:
    """Further numbers as text, in percent where they are shares; empty if there are none."""
    lines = []
    if 'note' in smiyc:
        lines.append(smiyc['note'])
    elif smiyc:
        shown = dict(ap='AP', auroc='AUROC', fpr95='FPR95', siou_gt='sIoU', ppv='PPV', f1_mean='mean F1')
        lines.append('SMIYC: ' + ', '.join(f'{name} {100 * smiyc[key]:.2f}' for key, name in shown.items()))
    if 'note' in legacy:
        lines.append(legacy['note'])
    elif legacy:
        lines.append(
            'legacy_hist: AUROC {auroc:.2%}, AUPRC {auprc:.2%}, FPR95 {meta_ood_fpr95:.2%} at TPR '
            '{meta_ood_tpr95:.2%} (AbeT: {abet_fpr95:.2%} at {abet_tpr95:.2%}); {dropped_fraction:.2%} of '
            'the pixels are outside [0, 1] and dropped'.format(**legacy)
        )
    return '\n'.join(lines)
