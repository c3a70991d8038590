"""SMIYC's and Meta-OOD's protocols against the published code's numbers and by hand.

``python tests/anomaly/test_protocols.py`` writes data/anomaly_goldens.json anew; do that only where the shared
goldens pass.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from mmroad.anomaly import smiyc
from mmroad.anomaly.legacy import LegacyHistogram
from mmroad.anomaly.smiyc import SmiycPixels, component_scores, components, join

SHARED = Path(__file__).parents[2] / '../shared/parity/metrics'
SCORES = {'sIoU_gt', 'sIoU_pred', 'prec_pred'} | {
    f'{score}_{tau}' for score in ('tp', 'fn', 'fp', 'f1') for tau in (25, 50, 75, 'mean')
}
FILE = Path(__file__).parents[1] / 'data/anomaly_goldens.json'
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
    got = parts[0].compute()._asdict()
    extra = ('abet_index', 'roc_points')  # what we do not give
    assert got == pytest.approx({k: v for k, v in results['legacy'].items() if k not in extra}, abs=1e-9)


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
    found = {names.get(key, key): value for key, value in got._asdict().items()}
    extra = ('recall50_threshold', 'num_thresholds')  # what we do not give
    assert found == pytest.approx({k: v for k, v in golden['pixel'].items() if k not in extra}, abs=1e-9)
    for track, name in dict(anomaly='segment_AnomalyTrack', obstacle='segment_ObstacleTrack').items():
        found = [components(*image, got.best_f1_threshold, track) for image in images]
        names = dict(siou_gt='sIoU_gt', siou_pred='sIoU_pred', ppv='prec_pred')
        scores = {names.get(key, key): value for key, value in component_scores(join(found)).items()}
        assert scores == pytest.approx({k: golden[name][k] for k in golden[name] if k in SCORES}, abs=1e-9)
        assert set(scores) == SCORES
        used = [found[i] for i in results['smiyc']['images']]
        for of_image, want in zip(used, golden[name]['per_image'], strict=True):
            names |= dict(size_gt='size_gt', size_pred='size_pred')
            for key, name_ in names.items():
                assert sorted(getattr(of_image, key)) == pytest.approx(sorted(want[name_]), abs=1e-9)


def blobs(number=3, jump=False):
    """Images with round outliers and smooth noise, some scores outside [0, 1]; or outliers of one score."""
    for seed in range(number):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:60, :90]
        labels, noise = np.zeros((60, 90), np.uint8), np.zeros((60, 90))
        for _ in range(6):
            cy, cx, r = rng.integers(0, 60), rng.integers(0, 90), rng.integers(2, 14)
            labels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = 1
            noise += rng.normal() * np.exp(-((y - rng.integers(60)) ** 2 + (x - rng.integers(90)) ** 2) / 150)
        labels[56:] = labels[:, 40:42] = 255
        scores = 0.4 + 0.4 * noise + 0.05 * rng.normal(size=labels.shape) + 0.25 * (labels == 1)
        yield (np.where(labels == 1, 0.7, scores) if jump else scores).astype(np.float32), labels


def golden_values():
    """All numbers of both protocols on `blobs`."""
    values = {}
    for dtype in ('float16', 'float32'):
        images = [(scores.astype(dtype), labels) for scores, labels in blobs()]
        pixels = SmiycPixels()
        for image in images:
            pixels.add(*image)
        curve = pixels.compute()
        values[f'pixels_{dtype}'] = curve._asdict()
        for track in ('anomaly', 'obstacle'):
            found = join(components(*image, curve.best_f1_threshold, track) for image in images)
            values[f'{track}_{dtype}'] = component_scores(found)
            values[f'sizes_{track}_{dtype}'] = [sorted(map(float, part)) for part in found]
    for name, jump in (('legacy', False), ('legacy_jump', True)):
        hist = LegacyHistogram()
        for image in blobs(jump=jump):
            hist.add(*image)
        values[name] = hist.compute()._asdict()
    return values


def test_goldens():
    """Kept from the state that passed the shared ones."""
    want, got = json.loads(FILE.read_text()), golden_values()
    assert set(got) == set(want)
    for key, value in got.items():
        if isinstance(value, dict):
            assert value == pytest.approx(want[key], abs=1e-9, nan_ok=True), key
        else:
            for ours, kept in zip(value, want[key], strict=True):
                assert ours == pytest.approx(kept, abs=1e-9), key
    assert got['legacy_jump']['abet_fpr95'] < got['legacy_jump']['meta_ood_fpr95']  # the point before TPR 1


def test_issu_is_what_its_own_code_computes_on_these_images():
    """https://github.com/vojirt/benchmark_issu (PixBinaryClass and SegEval), run on `blobs`."""
    images = [(scores.astype('float16'), labels) for scores, labels in blobs()]
    pixels = SmiycPixels(smiyc.PROTOCOLS['issu'].bins)
    for image in images:
        pixels.add(*image)
    curve = pixels.compute()
    found = component_scores(join(components(*image, curve.best_f1_threshold, 'issu') for image in images))
    got = [curve.ap, curve.auroc, curve.fpr95, curve.best_f1_threshold]
    got += [found[key] for key in ('siou_gt', 'ppv', 'f1_mean')]
    want = [0.8286611319071392, 0.9149336256803279, 0.8796186874655322, 0.5759645226883562]
    want += [0.6678689432922792, 0.72935038212816, 0.7373737373737373]
    assert got == pytest.approx(want, abs=1e-12)


def test_legacy_drops_points_as_scikit_learn_does():
    """Of equal steps around TPR .95 the middle ones are no points, and so are not the nearest."""
    hist = LegacyHistogram()
    bins = [90, 80, 79, 78, 10]
    hist.counts[:, bins] = [[10, 10, 10, 10, 960], [900, 30, 30, 30, 10]]
    hist.pixels = hist.counts.sum(1)
    labels = np.concatenate([np.repeat([0, 1], counts) for counts in hist.counts.T])
    scores = np.repeat((np.arange(100) + 1) / 100, hist.counts.sum(0))
    fpr, tpr, _ = metrics.roc_curve(labels, scores)
    nearest = np.abs(tpr - 0.95).argmin()
    got = hist.compute()
    assert (got.meta_ood_fpr95, got.meta_ood_tpr95) == pytest.approx((fpr[nearest], tpr[nearest]))
    assert tpr[nearest] == 0.99 and got.abet_threshold == 0.79
    assert got.auroc == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert got.auprc == pytest.approx(metrics.average_precision_score(labels, scores))


@pytest.mark.parametrize('low, high', [(0.0, 0.0), (-3.0, 50.0)])
def test_smiyc_by_definition(low, high):
    """The highest score is a threshold: constant scores, and logits far apart, are counted."""
    rng = np.random.default_rng(0)
    labels = np.uint8(rng.random((6, 8)) < 0.4)
    scores = rng.uniform(low, high, labels.shape)
    pixels = SmiycPixels()
    pixels.add(scores, labels)
    got = pixels.compute()
    assert got.ap == pytest.approx(metrics.average_precision_score(labels.ravel(), scores.ravel()))
    assert got.auroc == pytest.approx(metrics.roc_auc_score(labels.ravel(), scores.ravel()))
    lowest, margin = scores.min(), max((scores.max() - scores.min()) / 100, 0.01)
    assert pixels.parts[0][0][-1] == pytest.approx(lowest - margin)


def test_the_first_of_tied_thresholds_is_a_point():
    """Two images with the same highest threshold: the official curve begins with one of them alone."""
    pixels = SmiycPixels()
    for labels in ([[1, 1, 0, 0]], [[0, 1, 1, 0]]):
        pixels.add(np.float32([[0.9, 0.9, 0.5, 0.1]]), np.uint8(labels))
    thresholds, tp, fp = (np.concatenate(x) for x in zip(*pixels.parts))
    order = np.argsort(thresholds)[::-1]
    assert thresholds[order[0]] == thresholds[order[1]]
    tp, fp, thresholds = np.cumsum(tp[order]), np.cumsum(fp[order]), thresholds[order]
    kept = np.append(np.diff(thresholds) != 0, True)
    kept[0] = True
    recall, precision = tp[kept] / 4, tp[kept] / np.maximum(tp + fp, 1)[kept]
    got = pixels.compute()
    assert got.ap == pytest.approx(np.sum(np.diff(recall, prepend=0) * precision))
    kept[0] = False
    assert got.ap != pytest.approx(np.sum(np.diff(tp[kept] / 4, prepend=0) * (tp / (tp + fp).clip(1))[kept]))


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


def by_definition(scores, labels, threshold, min_pred, min_gt):
    """Components as sets of pixels, matched one by one."""
    gt = [set(zip(*np.nonzero(part))) for part in parts(labels == 1)]
    pred = [set(zip(*np.nonzero(part))) for part in parts((scores > threshold) & (labels != 255))]
    left_out = set().union(*(part for part in gt if len(part) < min_gt))
    if (labels != 1).sum() < min_gt:
        left_out |= set(zip(*np.nonzero(labels != 1)))
    pred = [kept for part in pred if len(part) >= min_pred and (kept := part - left_out)]
    gt = [part for part in gt if len(part) >= min_gt]

    def matched(own, others):
        rows = []
        for part in own:
            touched = set().union(*(other for other in others if other & part))
            union = part | (touched - set().union(*(other for other in own if other is not part)))
            rows.append((len(part), len(part & touched) / len(union), len(part & touched) / len(part)))
        return np.array(rows).reshape(-1, 3).T

    (size_gt, siou_gt, _), (size_pred, siou_pred, ppv) = matched(gt, pred), matched(pred, gt)
    return siou_gt, siou_pred, ppv, size_gt, size_pred


def parts(mask):
    from scipy.ndimage import label

    numbered, count = label(mask, np.ones((3, 3)))
    return [numbered == i + 1 for i in range(count)]


@pytest.mark.parametrize('seed', range(30))
def test_components_are_those_of_the_definition(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    shape = rng.integers(3, 24, 2)
    own = smiyc.Protocol(int(rng.integers(1, 9)), int(rng.integers(1, 9)))
    monkeypatch.setitem(smiyc.PROTOCOLS, 'anomaly', own)
    share = rng.uniform(0.05, 0.95)
    labels = rng.choice([0, 1, 255], shape, p=[0.9 * (1 - share), 0.9 * share, 0.1]).astype(np.uint8)
    scores = (rng.random(shape) + 0.3 * (labels == 1)).astype(rng.choice(['f2', 'f4']))
    got = components(scores, labels, 0.6)
    want = by_definition(scores, labels, 0.6, *own[:2])
    for name, ours, theirs in zip(got._fields, got, want):
        assert sorted(ours) == pytest.approx(sorted(theirs)), name


def test_components_as_published_in_their_details():
    """Corners touch, void cuts, the smallest sizes are kept, and equal to a tau is found."""
    labels, scores = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.float32)
    scores[2:7, 2:7] = scores[7:12, 7:12] = 1  # 50 pixels that touch at a corner: one component
    scores[20:25, 2:12] = 1  # 50, of which void takes one
    labels[20, 2] = 255
    assert components(scores, labels, 0.5, 'obstacle').size_pred.tolist() == [50]
    labels[2:7, 2:7] = 1
    found = components(scores, labels, 0.5, 'obstacle')
    assert found.ppv.tolist() == found.siou_gt.tolist() == [0.5]
    got = component_scores(found)
    assert (got['fp_50'], got['tp_50'], got['fp_75'], got['tp_75']) == (0, 1, 1, 0)
    labels[2:7, 2:7] = 0
    labels[2:7, 2:4] = 1  # 10 true pixels are kept, 9 become void
    assert components(scores, labels, 0.5, 'obstacle').size_gt.tolist() == [10]
    labels[2, 2] = 0
    found = components(scores, labels, 0.5, 'obstacle')
    assert found.size_gt.tolist() == [] and found.size_pred.tolist() == [41]
    assert components(scores + 0.5, labels, 0.5, 'obstacle').size_pred.tolist() == [41]  # above, not from


def test_smiyc_skips_void_images_and_needs_both_classes():
    pixels = SmiycPixels()
    pixels.add(np.float32([[0.5]]), np.uint8([[255]]))
    with pytest.raises(ValueError, match='need inlier and outlier pixels'):
        pixels.compute()
    pixels.add(np.float32([[0.2, 0.8]]), np.uint8([[0, 1]]))
    got = pixels.compute()
    assert (got.ap, got.auroc, got.fpr95, got.best_f1) == (1, 1, 0, 1)


def test_smiyc_fpr95_is_at_a_recall_of_95_percent_itself():
    scores = np.float32([[*range(20, 0, -1), 1.5, 0.5, 0.4, 0.3]])
    pixels = SmiycPixels()
    pixels.add(scores, np.uint8([[1] * 20 + [0] * 4]))
    got = pixels.compute()
    assert (got.fpr95, got.threshold95) == (
        0,
        2,
    )  # 19 of 20 are found there; to find all, 1 of 4 is taken too


def test_legacy_counts_what_it_drops():
    hist = LegacyHistogram()
    hist.add(np.float32([[0.205, 1.0, 1.5, -0.5]]), np.uint8([[0, 1, 1, 0]]))
    got = hist.compute()
    assert (got.dropped_in, got.dropped_out, got.dropped_fraction, got.auroc) == (1, 1, 0.5, 1)
    with pytest.raises(ValueError, match='needs inlier and outlier scores in'):
        LegacyHistogram().compute()


if __name__ == '__main__':
    FILE.write_text(json.dumps(golden_values(), indent=0) + '\n')
    sys.stdout.write(f'goldens written to {FILE}\n')
