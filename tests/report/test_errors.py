"""TIDE's errors against the package tidecv and against a plain reading of the paper."""

import numpy as np
import pytest
from det_cases import made_set, save

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.det import align
from mmroad.bdd100k.eval.matching import match_boxes, pairs_of, ranks
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.report import average_precision
from mmroad.report.errors import KINDS, TRUTH_MISSED, classify, costs, loss_by_image, rise

NAMES = dict(cls='Cls', loc='Loc', both='Both', dupe='Dupe', bkg='Bkg', miss='Miss')


def errors_of(data):
    pairs, rank = pairs_of(data), ranks(data.dt_score, data.dt_category, data.dt_image)
    (match,) = match_boxes(data, pairs, data.gt_crowd, rank, np.array([0.5]))
    return classify(data, pairs, rank, match, data.gt_crowd), average_precision.matched(data, pairs, rank)


def data_of(folder, seed, crowds):
    gts, preds = made_set(seed, frames=16, per_frame=14, crowds=crowds)
    if not crowds:
        for frame in (*gts, *preds):
            frame['labels'] = [x for x in frame['labels'] if x['category'] in DET_CLASSES]
    return align(*map(read_columns, save(folder, gts, preds)))


@pytest.mark.parametrize('seed', range(8))
def test_errors_are_those_of_tidecv(tmp_path, monkeypatch, seed):
    tidecv = pytest.importorskip('tidecv', reason='tidecv is not installed')
    # its recalls are k / 100, which is not always what COCO's linspace gives
    monkeypatch.setattr(average_precision, 'RECALLS', np.array([k / 100 for k in range(101)]))
    data = data_of(tmp_path, seed, crowds=False)
    truth, found = tidecv.Data('truth'), tidecv.Data('found')
    for i in range(data.num_images):
        truth.add_image(i + 1, str(i))
    for row in zip(data.gt_image.tolist(), data.gt_category.tolist(), data.gt_bbox.tolist()):
        truth.add_ground_truth(*row)
    boxes = zip(*(x.tolist() for x in (data.dt_image, data.dt_category, data.dt_score, data.dt_bbox)))
    for row in boxes:
        found.add_detection(*row)
    tide = tidecv.TIDE()
    run = tide.evaluate(truth, found, mode=tidecv.TIDE.BOX, name='x')
    theirs, counts = tide.get_all_errors(), {k.short_name: v for k, v in run.count_errors().items()}
    errors, _ = errors_of(data)
    price = costs(data, errors)
    assert 100 * np.nanmean(price['AP50']) == pytest.approx(run.ap, abs=1e-9)
    for key, code, *_ in KINDS:
        number = (errors.truth == TRUTH_MISSED) if code is None else (errors.prediction == code)
        assert number.sum() == counts[NAMES[key]], key
        assert rise(price, key) == pytest.approx(theirs['main']['x'][NAMES[key]], abs=1e-9), key
    assert rise(price, 'false_positives') == pytest.approx(theirs['special']['x']['FalsePos'], abs=1e-9)
    assert rise(price, 'false_negatives') == pytest.approx(theirs['special']['x']['FalseNeg'], abs=1e-9)


def iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def plain_kinds(data, right, counted):
    """The kind of every prediction, box by box as the paper has it."""
    kinds = []
    for d in range(len(data.dt_image)):
        rows = [g for g in np.flatnonzero(data.gt_image == data.dt_image[d]) if not data.gt_crowd[g]]
        overlap = {g: iou(data.dt_bbox[d], data.gt_bbox[g]) for g in rows}
        own = {g: v for g, v in overlap.items() if data.gt_category[g] == data.dt_category[d]}
        other = {g: v for g, v in overlap.items() if g not in own}
        best = max(own.values(), default=0)
        if right[d] >= 0:
            kinds.append('right')
        elif not counted[d]:
            kinds.append('off')
        elif 0.1 <= best <= 0.5:
            kinds.append('loc')
        elif max(other.values(), default=0) >= 0.5:
            kinds.append('cls')
        elif best >= 0.5:
            kinds.append('dupe')
        elif max(overlap.values(), default=0) <= 0.1:
            kinds.append('bkg')
        else:
            kinds.append('both')
    return kinds


@pytest.mark.parametrize('crowds', [False, True])
def test_kinds_are_those_of_a_plain_reading(tmp_path, crowds):
    data = data_of(tmp_path, 20, crowds)
    errors, found = errors_of(data)
    right = np.full(len(data.dt_image), -1)
    counted = np.zeros(len(right), bool)
    right[found.rows] = np.where(found.right[0], found.match[0], -1)
    counted[found.rows] = ~found.ignored[0]
    names = {0: 'right', 1: 'off', **{code: key for key, code, *_ in KINDS}}
    assert [names[int(k)] for k in errors.prediction] == plain_kinds(data, right, counted)
    assert crowds == bool((errors.prediction == 1).any())
    # missed: no box has it, and no error of class or place is about it
    about = set(errors.match[np.isin(errors.prediction, (2, 3))].tolist()) | set(right[right >= 0].tolist())
    missed = [g for g in range(len(data.gt_image)) if g not in about and not data.gt_crowd[g]]
    assert np.flatnonzero(errors.truth == TRUTH_MISSED).tolist() == missed


@pytest.mark.parametrize('seed', range(4))
def test_loss_of_all_images_is_what_ap_lacks(tmp_path, seed):
    data = data_of(tmp_path, seed, crowds=seed % 2 == 0)
    _, found = errors_of(data)
    number = found.positives()
    raw = [p.sum() / number[k] for k in np.flatnonzero(number) for _, _, p in found.curves(k)]
    loss = loss_by_image(found)
    assert loss.sum() == pytest.approx(100 - 100 * np.mean(raw))
    assert (loss >= -1e-12).all()


def test_loss_is_the_image_with_the_error(tmp_path):
    box, far = dict(x1=0, y1=0, x2=49, y2=49), dict(x1=300, y1=0, x2=349, y2=49)
    gts = [dict(name=f'{i}.jpg', labels=[dict(category='car', box2d=box)]) for i in range(4)]
    preds = [dict(name=f'{i}.jpg', labels=[dict(category='car', box2d=box, score=0.5)]) for i in range(4)]
    preds[1]['labels'].append(dict(category='car', box2d=far, score=0.9))  # before all that is right
    preds[2]['labels'] = []
    preds[3]['labels'].append(dict(category='car', box2d=far, score=0.1))  # behind it: costs nothing
    _, found = errors_of(align(*map(read_columns, save(tmp_path, gts, preds))))
    shares = 100 / 4 * np.array([0, 1 / 2 + 1 / 3 + 1 / 4, 1, 0])
    np.testing.assert_allclose(loss_by_image(found), shares)
