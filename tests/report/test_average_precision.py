"""COCO's numbers from our matching, against pycocotools' and the official evaluator's."""

import numpy as np
import pytest
from det_cases import made_set, save

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.det import _accumulate, align, scores_of
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.report.average_precision import SIZES
from mmroad.report.bootstrap import draw_weights, interval, resample
from mmroad.report.curves import f1, histogram, precision_recall
from mmroad.report.det_scores import METRICS, match_result, measures, over_classes, score_table

CASES = dict(
    plain={},
    ties=dict(ties=True),
    crowds=dict(crowds=True),
    many=dict(many=True, frames=4),
    tiny=dict(tiny=True),
)


def columns(folder, seed, **options):
    return [read_columns(path) for path in save(folder, *made_set(seed, **options))]


@pytest.mark.parametrize('case', CASES)
def test_numbers_are_cocos(tmp_path, case):
    for seed in range(2):
        data = align(*columns(tmp_path, seed, **CASES[case]))
        result, official = match_result(data), scores_of(data, 'pycocotools')
        arrays = _accumulate(data, 'pycocotools')
        for size, name in enumerate(SIZES):
            precision, _ = precision_recall(result.sizes[name])
            theirs = arrays['precision'][:, :, :, size, 2].transpose(2, 0, 1)
            np.testing.assert_array_equal(np.nan_to_num(precision, nan=-1), theirs)
            recall = arrays['recall'][:, :, size, 2]
            np.testing.assert_array_equal(
                np.nan_to_num(result.sizes[name].ap_and_recall()[1], nan=-1), recall
            )
        values = measures(result.sizes)
        for i, key in enumerate(METRICS):
            want = [official[key][0][name] for name in DET_CLASSES]
            np.testing.assert_allclose(values[i], want, atol=1e-9)
            np.testing.assert_allclose(over_classes(values)[i], official[key][1]['OVERALL'], atol=1e-9)


def test_a_weight_repeats_an_image(tmp_path):
    gts, preds = made_set(5, ties=True, crowds=True)
    weight = np.arange(12) % 3
    result = match_result(align(*map(read_columns, save(tmp_path, gts, preds))))
    names = sorted(frame['name'] for frame in gts)
    repeated = [
        [dict(f, name=f'{f["name"]}-{k}') for f in frames for k in range(weight[names.index(f['name'])])]
        for frames in (gts, preds)
    ]
    whole = match_result(align(*map(read_columns, save(tmp_path, *repeated))))
    np.testing.assert_allclose(measures(result.sizes, weight), measures(whole.sizes), atol=1e-9)


def test_rows_are_the_scores_of_their_images(tmp_path):
    gts, preds = made_set(3, frames=30)
    for i, frame in enumerate(gts):
        frame['attributes'] = dict(weather=['clear', 'rainy', None][i % 3], scene='x', timeofday='night')
    gt, pred = map(read_columns, save(tmp_path, gts, preds))
    groups = {key: rows for key, _, rows in score_table(gt, [match_result(align(gt, pred))])}
    codes, names = gt.attributes['weather'], gt.attribute_values['weather']
    assert [row.name for row in groups['weather']] == ['(none)', 'clear', 'rainy']
    for row in groups['weather']:
        code = names.index('' if row.name == '(none)' else row.name)
        data = align(gt, pred, keep=codes == code)
        official = scores_of(data, 'pycocotools').summary()
        np.testing.assert_allclose(row.values[0], [official[key] for key in METRICS], atol=1e-9)
        assert (row.images, row.boxes) == (data.num_images, int((~data.gt_crowd).sum()))
    (overall,) = groups['overall']
    assert (overall.images, overall.boxes) == (30, sum(row.boxes for row in groups['class']))
    sizes = dict(zip(('APs', 'APm', 'APl'), groups['size']))
    for key, row in sizes.items():
        assert row.values[0][0] == pytest.approx(overall.values[0][METRICS.index(key)], nan_ok=True)


def test_occluded_boxes_are_scored_with_the_others_ignored(tmp_path):
    def label(x, occluded, **more):
        box = dict(x1=x, y1=0, x2=x + 19, y2=19)
        return dict(category='car', box2d=box, attributes=dict(occluded=occluded), **more)

    gt = [dict(name='a.jpg', labels=[label(0, True), label(100, False), label(200, 'maybe')])]
    pred = [dict(name='a.jpg', labels=[label(0, None, score=0.5), label(100, None, score=0.9)])]
    columns = list(map(read_columns, save(tmp_path, gt, pred)))
    groups = {key: rows for key, _, rows in score_table(columns[0], [match_result(align(*columns))])}
    rows = {row.name: (row.boxes, row.values[0][0]) for row in groups['occluded']}
    assert rows.keys() == {'occluded', 'not occluded', 'not said'} and all(n == 1 for n, _ in rows.values())
    assert [ap for _, ap in rows.values()] == pytest.approx([100, 100, 0])


def test_best_threshold_is_that_of_all_scores(tmp_path):
    result = match_result(align(*columns(tmp_path, 7, frames=20, ties=True))).sizes['all']
    for classes in (np.arange(10), np.array([2])):
        assert_best(result, classes, f1(result, classes))


def assert_best(result, classes, found):
    parts = [slice(result.start[k], result.start[k + 1]) for k in classes]
    score = np.concatenate([result.score[p] for p in parts])
    right, ignored = (np.concatenate([a[0, p] for p in parts]) for a in (result.right, result.ignored))
    asked = np.isin(result.gt_class, classes).sum()

    def at(threshold):
        taken = (score >= threshold) & ~ignored
        return 2 * (right & taken).sum() / (taken.sum() + asked)

    assert found['best']['f1'] == pytest.approx(max(map(at, score)))
    assert at(found['best']['threshold']) == pytest.approx(found['best']['f1'])
    for i in (0, 30, 70, 100):
        assert found['f1'][i] == pytest.approx(at(i / 100))


def test_histogram_and_calibration_count_every_box(tmp_path):
    result = match_result(align(*columns(tmp_path, 8, frames=20))).sizes['all']
    found = histogram(result, np.arange(10))
    counted = ~result.ignored[0]
    assert found['right'].sum() == result.right[0].sum()
    assert (
        found['right'].sum() + found['wrong'].sum() == counted.sum() == found['calibration']['number'].sum()
    )
    in_range = counted & (result.score >= 0.3) & (result.score < 0.4)
    assert found['calibration']['precision'][3] == pytest.approx(result.right[0][in_range].mean())
    assert found['calibration']['score'][3] == pytest.approx(result.score[in_range].mean())


def test_draws_are_the_same_each_time_and_hold_the_number(tmp_path):
    result = match_result(align(*columns(tmp_path, 9, frames=40)))
    weights = draw_weights(40, 20)
    assert (weights.sum(1) == 40).all() and len(np.unique(weights, axis=0)) == 20
    drawn = resample(lambda weight: over_classes(measures(result.sizes, weight)), 40, 20)
    low, high = interval(drawn)
    value = over_classes(measures(result.sizes))
    assert low[0] < value[0] < high[0]
    np.testing.assert_array_equal(drawn[7], over_classes(measures(result.sizes, weights[7])))
    assert np.isnan(interval(np.full((5, 2), np.nan))).all()
