"""Whether a written file gives PyTorch's numbers, on images that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

#: The largest differences that a file of float32 may have: of boxes in pixels, of scores and maps (of numbers above 1
#: in parts of them); and the shares of pixels of another class, of mask pixels and of detections without a partner that
#: are no tie. Numbers that are no further apart than scores may be are a tie: which is the larger, rounding decides.
TOLERANCES = dict(
    boxes=1e-2, scores=1e-4, ood_scores=1e-4, anomaly=1e-4, classes=0.0, masks=0.0, ranking=0.0, unpaired=0.0
)
#: Those of float16, which has three digits.
HALF = dict(
    boxes=2.0, scores=2e-2, ood_scores=0.1, anomaly=2e-2, classes=2e-2, masks=2e-2, unpaired=0.2
)  # fmt: skip


class ExportError(ValueError):
    """A written file does not give PyTorch's numbers."""


@dataclass
class Difference:
    """What a comparison found."""

    numbers: dict[str, float] = field(default_factory=dict)  #: the largest differences by output, and counts
    problems: list[str] = field(default_factory=list)  #: what is beyond tolerance

    def note(self, name: str, value: float) -> None:
        """Keep the largest, or that there is none (NaN)."""
        self.numbers[name] = float(np.maximum(value, self.numbers.get(name, 0.0)))

    def add(self, name: str, count: float) -> None:
        """Keep the sum."""
        self.numbers[name] = self.numbers.get(name, 0.0) + float(count)

    def __str__(self) -> str:
        return ', '.join(f'{k} {v:.3g}' for k, v in self.numbers.items())


def compare(
    path: Path,
    graph: nn.Module,
    model: nn.Module,
    images: Sequence[np.ndarray],
    half: bool = False,
) -> Difference:
    """Run a file with ONNX Runtime beside the model in PyTorch, whose images go through its own test pipeline.

    Args:
        path: The file.
        graph: The `Graph` that was written, for its names.
        model: The model, with ``model.cfg``.
        images: RGB uint8 (H, W, 3).
        half: Compare with what float16 can hold.
    """
    from .session import open_session

    session, predict = open_session(path), torch_predictions(model)
    thresholds = json.loads(session.metadata['thresholds'])
    difference, limits = Difference(), HALF if half else TOLERANCES
    numbers = difference.numbers
    for image in images:
        got = {name: values[0] for name, values in zip(graph.names, session(image[None]))}
        want = _with_bounds(model, predict, image, limits['scores'])
        if 'boxes' in want:
            _compare_detections(got, want, difference, limits, thresholds)
        else:
            _compare_maps(got, want, difference, limits['scores'])
    if numbers.get('detections') == 0:
        difference.problems.append(
            'nothing was found on either image: compare on images with objects (--check)'
        )
    for name, limit in limits.items():
        value = numbers.get(name, 0.0)
        if name == 'unpaired':
            if value > limit * numbers.get('detections', 0.0):
                difference.problems.append(
                    f'{value:g} of {numbers["detections"]:g} detections are not among the others (where regions '
                    'overlap by just a threshold, rounding decides: --check takes other images)'
                )
        elif not value <= limit:
            difference.problems.append(f'{name} by {value:.3g}, allowed is {limit:g}')
    return difference


def _with_bounds(model: nn.Module, predict: Callable, image: np.ndarray, margin: float) -> dict[str, Any]:
    """PyTorch's predictions, with the ``logits`` (C, H, W) of classes, or with masks ``beyond`` and ``within``: of a
    threshold lower and higher by ten times ``margin``, as a mask moves with its box."""
    if hasattr(model, 'decode_head'):
        with _changed(model.test_cfg, keep_logits=True):
            return predict(image)
    want = predict(image)
    if 'masks' in want:
        cfg = model.roi_head.test_cfg
        for name, further in (('beyond', -10 * margin), ('within', 10 * margin)):
            with _changed(cfg, mask_thr_binary=cfg['mask_thr_binary'] + further):
                want[name] = predict(image)['masks']
    return want


@contextmanager
def _changed(config: dict, **values: Any) -> Iterator[None]:
    own = {key: config[key] for key in values if key in config}
    config.update(values)
    try:
        yield
    finally:
        for key in values:
            del config[key]
        config.update(own)


def torch_predictions(model: nn.Module) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """What gives a model's predictions for an RGB image (H, W, 3), by the names of the graph's outputs."""
    from mmengine.dataset import Compose

    from ..inference.base import array_pipeline, transformed

    steps = [step for step in array_pipeline(model.cfg) if step['type'] != 'RecordClasses']
    pipeline = Compose(steps)

    def predict(image: np.ndarray) -> dict[str, np.ndarray]:
        data = dict(img=np.ascontiguousarray(image[..., ::-1]), img_id=0, file_name='')
        data = transformed(pipeline, data, '')
        with torch.inference_mode():
            sample = model.test_step({key: [data[key]] for key in ('inputs', 'data_samples')})[0]
        if 'pred_instances' in sample:
            found = sample.pred_instances
            found = found[found.scores.argsort(descending=True, stable=True)]
            names = dict(
                boxes='bboxes', scores='scores', labels='labels', ood_scores='ood_scores', masks='masks'
            )
            return {k: found.get(v).cpu().numpy() for k, v in names.items() if v in found}
        fields = dict(classes=sample.pred_sem_seg.data[0].cpu().numpy())
        if 'seg_logits' in sample:
            fields['logits'] = sample.seg_logits.data.cpu().numpy()
        if 'anomaly_map' in sample:
            fields['anomaly'] = sample.anomaly_map.data[0].cpu().numpy()
        if 'ranking' in sample:
            fields['ranking'] = sample.ranking.cpu().numpy()
        return fields

    return predict


def pair(got: dict[str, np.ndarray], want: dict[str, np.ndarray], reach: float) -> list[tuple[int, int]]:
    """Detections that are the same: of one class, the nearest in box and score within ``reach`` pixels; scores within
    ``reach`` / 100."""
    pairs, free = [], np.ones(len(got['scores']), bool)
    for j, (box, score, label) in enumerate(zip(want['boxes'], want['scores'], want['labels'])):
        distance = np.abs(got['boxes'] - box).max(1) if len(free) else np.zeros(0)
        distance = np.maximum(distance, np.abs(got['scores'] - score) * 100)
        distance = np.where(free & (got['labels'] == label), distance, np.inf)
        if len(distance) and distance.min() <= reach:
            i = int(distance.argmin())
            free[i] = False
            pairs.append((i, j))
    return pairs


def ties(scores: np.ndarray, other: np.ndarray, thresholds: dict[str, Any], margin: float) -> np.ndarray:
    """Which detections without a partner the other side may lack: those whose score is within ``margin`` of the least
    that counts, which is the threshold, or where the other side has as many as are kept, its last."""
    least = thresholds.get('score_thr', -np.inf)
    if 0 < thresholds.get('max_per_img', np.inf) <= len(other):
        least = max(least, other.min())
    return scores <= least + margin


def _compare_detections(
    got: dict[str, Any],
    want: dict[str, np.ndarray],
    difference: Difference,
    limits: dict[str, float],
    thresholds: dict[str, Any],
) -> None:
    there = got['labels'] >= 0
    got = {k: v[there] for k, v in got.items()}
    pairs = pair(got, want, max(1.0, 2.5 * limits['boxes']))
    rows, others = ([p[k] for p in pairs] for k in (0, 1))
    difference.add('detections', len(want['scores']))
    for side, own, other in ((got, rows, want), (want, others, got)):
        alone = np.delete(side['scores'], own)
        tied = ties(alone, other['scores'], thresholds, limits['scores']).sum()
        difference.add('unpaired', len(alone) - tied)
        difference.add('ties', tied)
    for name in ('boxes', 'scores', 'ood_scores'):
        if name in want and name not in got:
            difference.problems.append(f'PyTorch gives {name}, the file does not')
        elif name in want:
            difference.note(name, _apart(got[name][rows], want[name][others]))
    if 'masks' in got and pairs:
        masks = got['masks'][rows]
        wrong = (masks & ~want['beyond'][others]) | (want['within'][others] & ~masks)
        difference.note('masks', wrong.mean())


def _apart(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference, of numbers above 1 (energies are not bounded) in parts of them; boxes are in pixels."""
    unit = 1 if want.ndim > 1 and want.shape[1] == 4 else np.maximum(1, np.abs(want))
    return float((np.abs(got - want) / unit).max(initial=0))


def _compare_maps(
    got: dict[str, Any], want: dict[str, np.ndarray], difference: Difference, margin: float
) -> None:
    differ = (got['classes'] != want['classes']).nonzero()
    first, second = (want['logits'][(side['classes'][differ], *differ)] for side in (want, got))
    wrong = (first - second > margin * np.maximum(1, np.abs(first))).sum()
    difference.note('classes', wrong / got['classes'].size)
    difference.add('ties', len(first) - wrong)
    if 'anomaly' in want:
        difference.note('anomaly', _apart(got['anomaly'], want['anomaly']))
    if 'ranking' in want:
        difference.note('ranking', (got['ranking'] != want['ranking']).sum())
