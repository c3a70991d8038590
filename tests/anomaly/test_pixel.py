"""Streaming pixel metrics against scikit-learn on all pixels at once, and the shared goldens."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mmroad.anomaly import curve, runs
from mmroad.anomaly.pixel import PixelMetrics

SHARED = Path(__file__).parents[2] / '../shared/parity/metrics'


def run(images):
    metrics = PixelMetrics()
    for scores, labels in images:
        metrics.add(scores, labels)
    return metrics.compute()


def made(dtype, seed=0, images=4, ties=False):
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(images):
        labels = rng.choice([0, 1, 255], (24, 40), p=[0.8, 0.12, 0.08]).astype(np.uint8)
        scores = rng.normal(0, 1, labels.shape) + (labels == 1)
        if ties:
            scores = np.round(scores * 3) / 3
        if np.dtype(dtype).kind in 'iu':
            scores = (
                (scores * 20 + 60).round() if np.dtype(dtype).itemsize == 1 else (scores * 40 + 300).round()
            )
            scores = np.clip(scores, np.iinfo(dtype).min, np.iinfo(dtype).max)
        out.append((scores.astype(dtype), labels))
    return out


def sklearn_scores(images):
    metrics = pytest.importorskip('sklearn.metrics')
    scores = np.concatenate([s[m <= 1] for s, m in images]).astype(float)
    labels = np.concatenate([m[m <= 1] for _, m in images])
    fpr, tpr, threshold = metrics.roc_curve(labels, scores, drop_intermediate=False)
    fpr_thin, tpr_thin, _ = metrics.roc_curve(labels, scores)
    return dict(
        ap=metrics.average_precision_score(labels, scores),
        auroc=metrics.roc_auc_score(labels, scores),
        ge=fpr[tpr >= 0.95][0],
        threshold=threshold[tpr >= 0.95][0],
        gt=fpr[tpr > 0.95][0],
        nearest=fpr[np.abs(tpr - 0.95).argmin()],
        rba=fpr_thin[tpr_thin > 0.95][0],
    )


@pytest.mark.parametrize(
    'dtype', [np.float16, np.float32, np.float64, np.int8, np.uint8, np.uint16, np.int16, np.int32]
)
@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('lookup', [None, 0, 1000], ids=['at once', 'looked up', 'sorted again'])
def test_equals_scikit_learn(dtype, ties, lookup, monkeypatch):
    if lookup is not None:  # several runs and ranges
        for name, value in (('RANGE', 200), ('BUFFER', 4000), ('STRIDE', 16)):
            monkeypatch.setattr(runs, name, value)
        monkeypatch.setattr(curve, 'LOOKUP', lookup)
    for seed in range(3):
        images = made(dtype, seed, ties=ties)
        got, want = run(images), sklearn_scores(images)
        assert got.ap == pytest.approx(want['ap'], abs=1e-12)
        assert got.auroc == pytest.approx(want['auroc'], abs=1e-12)
        points = dict(ge=got.fpr95.fpr, gt=got.fpr95_gt.fpr, nearest=got.fpr95_nearest.fpr, rba=got.fpr95_rba)
        for key, value in points.items():
            assert value == pytest.approx(want[key], abs=1e-12), key
        assert got.fpr95.threshold == want['threshold']


def test_negative_zero_ties_with_zero_and_infinities_are_scores():
    labels = np.uint8([[0, 1, 0, 1]])
    got = run([(np.float32([[0.0, -0.0, -np.inf, np.inf]]), labels)])
    assert got.auroc == 0.875 and got.fpr95.threshold == 0.0


def test_the_first_of_equally_near_points_counts(monkeypatch):
    """Of 50 outliers TPR .94 and .96 are as near to .95; inliers between put them into two ranges."""
    monkeypatch.setattr(runs, 'RANGE', 4)
    monkeypatch.setattr(runs, 'STRIDE', 1)
    outliers, inliers = np.arange(50, 0, -1), np.linspace(3.1, 3.9, 12)
    scores = np.concatenate([outliers, inliers])[None].astype(np.float32)
    labels = np.uint8([[1] * 50 + [0] * 12])
    got, want = run([(scores, labels)]), sklearn_scores([(scores, labels)])
    assert (got.fpr95_nearest.tpr, got.fpr95_nearest.fpr) == (0.94, want['nearest']) == (0.94, 0)


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.uint8, np.uint16])
def test_joined_parts_score_as_one(dtype):
    images = made(dtype)
    parts = [PixelMetrics() for _ in range(3)]
    for i, image in enumerate(images):
        parts[i % 2].add(*image)
    parts[0].merge(parts[1].part())
    parts[0].merge(parts[2].part())  # one that saw no image
    assert parts[0].compute() == run(images)
    joined = PixelMetrics()  # that was given no image itself
    joined.merge(parts[0].part())
    assert joined.compute() == run(images)
    with pytest.raises(ValueError, match='cannot be joined'):
        parts[0].merge(PixelMetrics().part()._replace(dtype=np.dtype('c8')))


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('label', [0, 1])
def test_nan_is_refused_of_every_type_unless_left_out(dtype, label):
    metrics = PixelMetrics()
    with pytest.raises(ValueError, match=r'a\.png: anomaly scores that are not numbers'):
        metrics.add(np.array([[0, np.nan]], dtype), np.uint8([[0, label]]), 'a.png')
    metrics.add(np.array([[0, np.nan, 1]], dtype), np.uint8([[0, 255, 1]]))
    assert metrics.compute().auroc == 1


def test_a_missing_class_is_said_and_bad_input_is_refused():
    only = run([(np.float32([[1, 2]]), np.uint8([[0, 255]]))])
    assert (
        math.isnan(only.ap)
        and only.fpr95 is None
        and only.note == ('no outlier pixels: nothing can be scored; 1 are left out (255 in masks)')
    )
    assert run([]).note == 'no inlier and outlier pixels: nothing can be scored'
    assert run([(np.float32([[1]]), np.uint8([[1]]))]).note == 'no inlier pixels: nothing can be scored'
    metrics = PixelMetrics()
    with pytest.raises(ValueError, match=r'a\.png: anomaly scores that are not numbers'):
        metrics.add(np.float32([[np.nan]]), np.uint8([[0]]), 'a.png')
    with pytest.raises(ValueError, match=r'scores of \(1, 2\) but labels of \(2, 1\)'):
        metrics.add(np.zeros((1, 2), np.float32), np.zeros((2, 1), np.uint8))
    metrics.add(np.float32([[1]]), np.uint8([[1]]))
    with pytest.raises(ValueError, match='scores are float16, those before were float32'):
        metrics.add(np.float16([[1]]), np.uint8([[0]]))


@pytest.mark.skipif(not SHARED.is_dir(), reason='the shared goldens are not here')
@pytest.mark.parametrize('name', ['ood_pixels', 'ood_ties', 'ood_jump'])
def test_shared_goldens(name):
    case, arrays = json.loads((SHARED / f'{name}.json').read_text()), np.load(SHARED / f'{name}.npz')
    images = [(arrays[f'score_{i}'], arrays[f'label_{i}']) for i in range(case['input']['images'])]
    got, want = run(images), case['results']['exact']
    assert (got.inliers, got.outliers, got.ignored) == (want['inliers'], want['outliers'], want['ignored'])
    assert got.ap == pytest.approx(want['ap'], abs=1e-9) and got.auroc == pytest.approx(
        want['auroc'], abs=1e-9
    )
    for key, point in (('first_ge', got.fpr95), ('first_gt', got.fpr95_gt), ('nearest', got.fpr95_nearest)):
        assert point._asdict() == pytest.approx(want['fpr95'][key], abs=1e-9)
    assert got.fpr95_rba == pytest.approx(case['results']['rba']['fpr95'], abs=1e-9)


@pytest.mark.skipif(not SHARED.is_dir(), reason='the shared goldens are not here')
def test_shared_degenerate_goldens():
    case, arrays = (
        json.loads((SHARED / 'ood_degenerate.json').read_text()),
        np.load(SHARED / 'ood_degenerate.npz'),
    )
    for key, results in case['results'].items():
        got, want = run([(arrays[f'score_{key}'], arrays[f'label_{key}'])]), results['exact']
        assert (got.inliers, got.outliers, got.ignored) == (
            want['inliers'],
            want['outliers'],
            want['ignored'],
        )
        if want['ap'] is None:
            assert math.isnan(got.ap) and got.note
            continue
        assert got.ap == pytest.approx(want['ap'], abs=1e-9) and got.auroc == pytest.approx(
            want['auroc'], abs=1e-9
        )
        assert got.fpr95._asdict() == pytest.approx(want['fpr95']['first_ge'], abs=1e-9)
