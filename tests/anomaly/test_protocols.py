"""SMIYC's and Meta-OOD's protocols against the published code's numbers and by hand."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from mmroad.anomaly.legacy import LegacyHistogram
from mmroad.anomaly.smiyc import SmiycPixels, component_scores, components, join

SHARED = Path(__file__).parents[2] / '../shared/parity/metrics'
shared = pytest.mark.skipif(not SHARED.is_dir(), reason='the shared goldens are not here')


def case(name):
    """Published results, and images as (scores, labels)."""
    golden, arrays = json.loads((SHARED / f'{name}.json').read_text()), np.load(SHARED / f'{name}.npz')
    images = [(arrays[f'score_{i}'], arrays[f'label_{i}']) for i in range(golden['input']['images'])]
    return golden['results'], images, arrays


@shared
@pytest.mark.parametrize('name', ['ood_pixels', 'ood_ties', 'ood_jump'])
def test_legacy_goldens(name):
    results, images, arrays = case(name)
    parts = LegacyHistogram(), LegacyHistogram()
    for i, image in enumerate(images):
        parts[i % 2].add(*image)
    parts[0].merge(parts[1])
    assert (parts[0].counts == [arrays['legacy_counts_in'], arrays['legacy_counts_out']]).all()
    for key, value in parts[0].compute()._asdict().items():
        assert value == pytest.approx(results['legacy'][key], abs=1e-9), key


@shared
@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_smiyc_goldens(dtype):
    results, images, _ = case('ood_pixels')
    golden = results['smiyc'][dtype]
    images = [(scores.astype(dtype), labels) for scores, labels in images]
    parts = SmiycPixels(), SmiycPixels()
    for i, image in enumerate(images):
        parts[i % 2].add(*image)
    parts[0].merge(parts[1])
    got = parts[0].compute()
    names = dict(ap='area_PRC', auroc='area_ROC', fpr95='tpr95_fpr', threshold95='tpr95_threshold')
    for key, value in got._asdict().items():
        assert value == pytest.approx(golden['pixel'][names.get(key, key)], abs=1e-9), key
    for track, name in dict(anomaly='segment_AnomalyTrack', obstacle='segment_ObstacleTrack').items():
        found = [components(*image, got.best_f1_threshold, track) for image in images]
        names = dict(siou_gt='sIoU_gt', siou_pred='sIoU_pred', ppv='prec_pred')
        for key, value in component_scores(join(found)).items():
            assert value == pytest.approx(golden[name][names.get(key, key)], abs=1e-9), (track, key)
        used = [found[i] for i in results['smiyc']['images']]
        for of_image, want in zip(used, golden[name]['per_image'], strict=True):
            names |= dict(size_gt='size_gt', size_pred='size_pred')
            for key, name_ in names.items():
                assert sorted(getattr(of_image, key)) == pytest.approx(sorted(want[name_]), abs=1e-9)


def image_of(dtype):
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 255], (60, 80), p=[0.8, 0.15, 0.05]).astype(np.uint8)
    return (rng.normal(0.3, 0.2, labels.shape) + 0.2 * (labels == 1)).astype(dtype), labels


@pytest.mark.parametrize('collector', [SmiycPixels, LegacyHistogram])
def test_float16_is_never_sorted(collector, monkeypatch):
    """NumPy sorts negative ones wrongly on some processors, where the numbers themselves are the test."""
    scores, labels = image_of(np.float16)

    def refuse(own, values, *args, **kwargs):
        assert np.asarray(values).dtype != np.float16
        return own(values, *args, **kwargs)

    for name in ('sort', 'argsort', 'partition', 'unique', 'quantile', 'histogram', 'searchsorted'):
        monkeypatch.setattr(np, name, functools.partial(refuse, getattr(np, name)))
    found = collector()
    found.add(scores, labels)
    got = found.compute()
    monkeypatch.undo()
    wide = collector()
    wide.add(scores.astype(np.float32), labels)
    assert got == wide.compute()


@pytest.mark.parametrize('collector', [SmiycPixels, LegacyHistogram])
@pytest.mark.parametrize('dtype', [bool, np.int8, np.uint8, np.uint16, np.int64, '>f4'])
def test_every_kind_of_number_is_a_score(collector, dtype):
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 255], (40, 50), p=[0.8, 0.15, 0.05]).astype(np.uint8)
    scores = rng.integers(0, 2, labels.shape).astype(dtype)
    got, want = collector(), collector()
    got.add(scores, labels)
    want.add(scores.astype(np.float32), labels)
    assert got.compute() == want.compute()


@pytest.mark.parametrize('collector', [SmiycPixels, LegacyHistogram])
def test_what_is_no_score_is_refused(collector):
    with pytest.raises(ValueError, match=r'scores of \(1, 2\) but labels of \(2, 1\)'):
        collector().add(np.zeros((1, 2)), np.zeros((2, 1), np.uint8))
    with pytest.raises(ValueError, match='scores are complex128'):
        collector().add(np.zeros((1, 2), complex), np.zeros((1, 2), np.uint8))
    with pytest.raises(ValueError, match='NaN'):
        collector().add(np.float16([[np.nan, 1]]), np.uint8([[1, 0]]))


def test_components_by_hand():
    labels = np.zeros((40, 60), np.uint8)
    labels[5:15, 5:15] = 1  # 100 pixels, half of them found
    labels[20:24, 20:24] = 1  # 16 pixels: no component of the anomaly track, one of the obstacle track
    labels[30:40] = 255
    scores = np.zeros(labels.shape, np.float32)
    scores[5:15, 10:20] = 1  # 100 pixels, half of them right
    scores[20:24, 20:24] = 1
    scores[30:40] = 1  # in the void
    found = components(scores, labels, 0.5, 'obstacle')
    assert found.size_gt.tolist() == [100, 16] and found.size_pred.tolist() == [100]
    assert found.siou_gt == pytest.approx([50 / 150, 0]) and found.ppv.tolist() == [0.5]
    scores[5:30, 5:55] = 1
    found = components(scores, labels, 0.5)
    assert found.size_pred.tolist() == [25 * 50 - 16] and found.siou_gt == pytest.approx([100 / 1234])
    assert component_scores(found)['f1_25'] == 0
    nothing = component_scores(components(scores * 0, labels * 0, 0.5))
    assert np.isnan(nothing['f1_mean']) and np.isnan(nothing['ppv'])


def test_smiyc_skips_void_images_and_needs_both_classes():
    pixels = SmiycPixels()
    pixels.add(np.float32([[0.5]]), np.uint8([[255]]))
    with pytest.raises(ValueError, match='need inlier and outlier pixels'):
        pixels.compute()
    pixels.add(np.float32([[0.2, 0.8]]), np.uint8([[0, 1]]))
    got = pixels.compute()
    assert (got.ap, got.auroc, got.fpr95, got.best_f1) == (1, 1, 0, 1)


def test_legacy_counts_what_it_drops():
    hist = LegacyHistogram()
    hist.add(np.float32([[0.205, 1.0, 1.5, -0.5]]), np.uint8([[0, 1, 1, 0]]))
    got = hist.compute()
    assert (got.dropped_in, got.dropped_out, got.dropped_fraction, got.auroc) == (1, 1, 0.5, 1)
    with pytest.raises(ValueError, match='needs inlier and outlier scores in'):
        LegacyHistogram().compute()
