"""Whether a written file gives PyTorch's numbers, on images that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

#: The largest differences that a file of float32 may have: pixels, scores, maps, and shares of pixels of another class
#: (the two best of which are equal to the last digits) and of mask pixels.
TOLERANCES = dict(boxes=1e-2, scores=1e-4, ood_scores=1e-3, anomaly=1e-4, classes=1e-4, masks=1e-3)
#: Those of float16, which has three digits.
HALF = dict(boxes=2.0, scores=2e-2, ood_scores=0.1, anomaly=2e-2, classes=2e-2, masks=2e-2)
#: The share of detections that may have no partner: where two boxes overlap by just the threshold, or a score is just
#: at it, rounding decides.
UNPAIRED = 0.02


class ExportError(ValueError):
    """A written file does not give PyTorch's numbers."""


@dataclass
class Difference:
    """What a comparison found."""

    numbers: dict[str, float] = field(default_factory=dict)  #: the largest differences by output, and counts
    problems: list[str] = field(default_factory=list)  #: what is beyond tolerance

    def note(self, name: str, value: float) -> None:
        """Keep the largest."""
        self.numbers[name] = max(float(value), self.numbers.get(name, 0.0))

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
    difference, limits = Difference(), HALF if half else TOLERANCES
    for image in images:
        got = dict(zip(graph.names, session(image[None])))
        want = predict(image)
        if 'boxes' in want:
            _compare_detections(got, want, difference, limits, half)
        else:
            _compare_maps(got, want, difference)
    for name, limit in limits.items():
        value = difference.numbers.get(name, 0.0)
        if not value <= limit:
            difference.problems.append(f'{name} by {value:.3g}, allowed is {limit:g}')
    count, lost = (difference.numbers.get(k, 0.0) for k in ('detections', 'unpaired'))
    if count == 0 and 'detections' in difference.numbers:
        difference.problems.append(
            'nothing was found on either image: compare on images with objects (--check)'
        )
    if lost > max((0.2 if half else UNPAIRED) * count, 1 if count else 0):
        difference.problems.append(f'{lost:g} of {count:g} detections are not among the others')
    return difference


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


def _compare_detections(
    got: dict[str, Any],
    want: dict[str, np.ndarray],
    difference: Difference,
    limits: dict[str, float],
    half: bool,
) -> None:
    got = {k: v[0] for k, v in got.items()}
    there = got['labels'] >= 0
    got = {k: v[there] for k, v in got.items()}
    pairs = pair(got, want, 5.0 if half else 1.0)
    numbers = difference.numbers
    numbers['detections'] = numbers.get('detections', 0.0) + len(want['scores'])
    unpaired = len(want['scores']) + len(got['scores']) - 2 * len(pairs)
    numbers['unpaired'] = numbers.get('unpaired', 0.0) + unpaired
    rows, others = ([p[k] for p in pairs] for k in (0, 1))
    for name in ('boxes', 'scores', 'ood_scores'):
        if name in got and name in want:
            difference.note(name, _apart(got[name][rows], want[name][others]))
    if 'masks' in got and 'masks' in want and pairs:
        difference.note('masks', (got['masks'][rows] != want['masks'][others]).mean())


def _apart(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference, of numbers above 1 (energies are not bounded) in parts of them; boxes are in pixels."""
    unit = 1 if want.ndim > 1 and want.shape[1] == 4 else np.maximum(1, np.abs(want))
    return float((np.abs(got - want) / unit).max(initial=0))


def _compare_maps(got: dict[str, Any], want: dict[str, np.ndarray], difference: Difference) -> None:
    difference.note('classes', (got['classes'][0] != want['classes']).mean())
    if 'anomaly' in want:
        difference.note('anomaly', _apart(got['anomaly'][0], want['anomaly']))
    if 'ranking' in want:
        difference.note('ranking', (got['ranking'][0] != want['ranking']).sum())
