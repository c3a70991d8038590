"""Protocols, measures and subsets of out-of-distribution detection."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly.detection_files import align, read_detection_file
from mmroad.anomaly.ood_detection import (
    Detections,
    best_f1_threshold,
    evaluate,
    f1_threshold,
    ood_measures,
    read_detections,
    table,
)
from mmroad.anomaly.ood_subsets import COCO_KNOWN, coco_subset, descendants, openimages_subset

ROOT = Path(__file__).parents[2]
PARITY = ROOT / '../shared/parity'


def rows(image, label, xyxy, score, ood=None):
    n = len(label)
    return Detections(
        np.array(image, dtype=str),
        np.array(label, np.int64),
        np.array(xyxy, float).reshape(n, 4),
        np.array(score, float),
        np.array(ood if ood is not None else [0.0] * n),
    )


def test_measures_by_hand():
    perfect = ood_measures(np.arange(100, 200), np.arange(100))
    assert perfect == dict(auroc=1.0, aupr=1.0, fpr95=0.0)
    ties = ood_measures([1, 1], [1, 1])
    assert ties == dict(auroc=0.5, aupr=0.5, fpr95=1.0)
    # one OOD box between; the recall nearest .95 is 1, which the last point has too: the first counts
    mixed = ood_measures([3, 1], [2, 0])
    assert mixed['auroc'] == 0.75 and mixed['fpr95'] == 0.5
    assert mixed['aupr'] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    with pytest.raises(ValueError, match='both kinds'):
        ood_measures([1], [])
    with pytest.raises(ValueError, match='not finite'):
        ood_measures([np.nan], [1])


@pytest.mark.skipif(not PARITY.is_dir(), reason='the shared parity cases are not here')
def test_measures_of_the_published_code():
    golden = json.loads((PARITY / 'metrics/ood_detection.json').read_text())['results']
    data = np.load(PARITY / 'metrics/ood_detection.npz')
    got = ood_measures(data['id_score'], data['ood_score'])
    assert all(abs(got[k] - golden[k]) < 1e-9 for k in got)


def published_fpr95(id_score, ood_score):
    """From the full recall down, recall 1 without a false positive behind: the first point nearest .95."""
    order = sorted([(s, True) for s in id_score] + [(s, False) for s in ood_score], key=lambda x: -x[0])
    points, tp, fp = [], 0, 0
    for k, (score, known) in enumerate(order):
        tp, fp = tp + known, fp + (not known)
        if k + 1 == len(order) or order[k + 1][0] != score:
            points.append((tp / len(id_score), fp))
        if points and points[-1][0] == 1:
            break
    points = [*points[::-1], (1, 0)]
    return min(points, key=lambda point: abs(point[0] - 0.95))[1] / len(ood_score)


@pytest.mark.parametrize('number', [4, 40, 150])
def test_measures_are_those_of_the_published_rules(number):
    roc_auc, ap = (pytest.importorskip('sklearn.metrics').__dict__[n] for n in (
        'roc_auc_score', 'average_precision_score'
    ))  # fmt: skip
    rng = np.random.default_rng(number)
    for digits in (0, 1, 9) * 7:
        known = rng.normal(1, 1, rng.integers(1, number + 1)).round(digits)
        unknown = rng.normal(0, 1, rng.integers(1, number + 1)).round(digits)
        got = ood_measures(known, unknown)
        kinds, scores = np.repeat([1, 0], [len(known), len(unknown)]), np.concatenate([known, unknown])
        assert got['fpr95'] == published_fpr95(known, unknown)
        assert got['auroc'] == pytest.approx(roc_auc(kinds, scores))
        assert got['aupr'] == pytest.approx(ap(kinds, scores))


def test_threshold_is_the_mean_of_the_classes_best():
    recalls = np.array([0.0, 0.5, 1.0])
    precision = np.array([[1, 1, 0.2], [1, 0.9, 0.9], [-1, -1, -1]]).T[None]
    scores = np.array([[0.9, 0.6, 0.1], [0.8, 0.5, 0.3], [-1, -1, -1]]).T[None]
    assert best_f1_threshold(precision, scores, recalls) == pytest.approx((0.6 + 0.3) / 2)
    with pytest.raises(ValueError, match='no in-distribution object'):
        best_f1_threshold(precision[..., 2:], scores[..., 2:], recalls)
    # a class that was never found gives its highest score, one without a detection nothing
    none = np.zeros((1, 3, 2))
    highest = np.array([[0.3, 0, 0], [0, 0, 0]]).T[None]
    joined = [np.concatenate(x, 2) for x in ((precision, none), (scores, highest))]
    assert best_f1_threshold(*joined, recalls) == pytest.approx((0.6 + 0.3 + 0.3) / 3)


def test_threshold_of_a_class_that_was_never_found():
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40], [60, 0, 90, 9]]
    truth = rows(['a', 'a'], [0, 1], boxes[:2], [0, 0])
    # class 1 is missed: its best score is that of a detection elsewhere; class 2 has no object
    found = rows(['a'] * 4, [0, 1, 1, 2], [boxes[0], boxes[2], boxes[2], boxes[1]], [0.9, 0.2, 0.4, 0.99])
    assert f1_threshold(found, truth) == pytest.approx((0.9 + 0.4) / 2)
    assert f1_threshold(rows(['a'], [1], boxes[2:], [0.4]), truth) == pytest.approx(0.4)
    for alone in (rows([], [], [], []), rows(['a'], [2], boxes[1:2], [0.99])):
        with pytest.raises(ValueError, match='no in-distribution object was detected'):
            f1_threshold(alone, truth)
        with pytest.warns(UserWarning, match='best_f1: no in-distribution object'):
            results = evaluate(found, dict(x=found), truth) | evaluate(alone, dict(y=found), truth)
        assert np.isnan(results['y/best_f1']['auroc']) and results['x/all']['auroc'] == 0.5


def test_all_sizes_and_a_hundred_detections_an_image_have_a_part_in_the_threshold():
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(12)] + [[0, 20, 200, 220]]
    truth = rows(['a'] * 13, [0] * 13, boxes, [0] * 13)
    found = rows(['a'] * 13, [0] * 13, boxes, np.linspace(0.9, 0.3, 13))
    assert f1_threshold(found, truth) == pytest.approx(0.3)  # all are found


def test_both_protocols():
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40], [60, 0, 90, 9]]
    truth = rows(['a', 'a'], [0, 1], boxes[:2], [0, 0])
    found = rows(['a', 'a', 'a'], [0, 1, 1], boxes, [0.9, 0.7, 0.2], [-5, -4, -1])
    assert f1_threshold(found, truth) == pytest.approx(0.8)
    other = rows(['b', 'b'], [0, 2], boxes[:2], [0.85, 0.1], [-3, -2])
    results = evaluate(found, dict(coco=other), truth)
    assert results['coco/all']['id'] == 3 and results['coco/all']['auroc'] == pytest.approx(4 / 6)
    assert results['coco/best_f1'] == dict(
        auroc=1.0, aupr=1.0, fpr95=0.0, threshold=pytest.approx(0.8), id=1, ood=1
    )
    assert 'coco/best_f1' in table(results)
    # detections of a class without ground truth have no part in the threshold; one at the threshold stays
    found = rows(['a'] * 2, [0, 5], boxes[:2], [0.9, 0.5], [-5, -4])
    truth = rows(['a'], [0], boxes[:1], [0])
    assert f1_threshold(found, truth) == 0.9
    assert evaluate(found, dict(coco=other), truth)['coco/best_f1']['id'] == 1


BOX = dict(x1=1, y1=2, x2=9, y2=9)


def frame(name, score, ood, category='car', **more):
    label = dict(id='1', category=category, score=score, ood_score=ood, box2d=BOX)
    return dict(name=name, labels=[label, dict(category='lane'), dict(label, category='sofa')], **more)


def write(path, frames):
    path.write_text(json.dumps(frames))
    return path


def run_tool(*arguments):
    command = [sys.executable, '-m', 'mmroad', 'eval-ood', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_files_and_the_tool(tmp_path):
    known, unknown, gt = (tmp_path / f'{n}.json' for n in ('id', 'ood', 'gt'))
    write(known, [frame('a.jpg', 0.9, -4.0), frame('b.jpg', 0.8, -3.0, 'bike')])
    write(unknown, dict(frames=[frame('c.jpg', 0.5, -1.0), frame('d.jpg', 0.9, -1.0)]))
    write(gt, [dict(f, labels=f['labels'][:1]) for f in json.loads(known.read_text())])
    got = read_detections(known)
    assert got.image.tolist() == ['a.jpg'] * 2 + ['b.jpg'] * 2 and got.xyxy[0].tolist() == [1, 2, 10, 10]
    # classes that BDD100K lacks are kept, its own have one name
    assert got.label.tolist() == ['car', 'sofa', 'bicycle', 'sofa'] and got.ood_score.tolist() == [
        -4,
        -4,
        -3,
        -3,
    ]
    done = run_tool(known, '--ood', f'x={unknown}', '--gt', gt, '--out', tmp_path / 'new/o.json')
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'new/o.json').read_text())
    assert results['x/all']['auroc'] == 1.0 and results['x/all']['threshold'] is None
    assert results['x/best_f1']['threshold'] == pytest.approx(0.85)
    assert 'x/best_f1' in done.stdout
    write(unknown, [dict(name='a', labels=[dict(category='car', score=0.5, box2d=BOX)])])
    with pytest.raises(ValueError, match='ood.json: frame a: .* lacks score or ood_score'):
        read_detections(unknown)
    write(unknown, [dict(name='e', labels=[])])
    done = run_tool(known, '--ood', f'x={unknown}', '--out', tmp_path / 'o.json')
    assert done.returncode == 1 and 'no measure of x/all' in done.stderr and 'x/all' in done.stdout
    assert json.loads((tmp_path / 'o.json').read_text())['x/all']['auroc'] is None
    done = run_tool(known, '--ood', f'x={unknown}', '--gt', gt, '--out', gt)
    assert (
        done.returncode == 1 and 'gt.json would replace its own source' in done.stderr and read_detections(gt)
    )
    for wrong in (['x'], [f'x={unknown}', f'x={known}'], [f'={unknown}']):
        assert 'takes NAME=FILE' in run_tool(known, '--ood', *wrong).stderr


def test_all_classes_of_another_data_set_are_kept(tmp_path):
    names = [f'class {i}' for i in range(40)]
    labels = [dict(category=name, score=0.5, ood_score=-1.0, box2d=BOX) for name in names]
    file = write(tmp_path / 'det.json', [dict(name='a', labels=labels)])
    assert read_detections(file).label.tolist() == names
    truth = read_detections(write(tmp_path / 'gt.json', [dict(name='a', labels=labels[::-1])]), False)
    assert f1_threshold(read_detections(file), truth) == pytest.approx(0.5)


@pytest.mark.parametrize(
    'found, truth, pairs',
    [
        (['a', 'b'], ['b', 'a'], dict(a='a', b='b')),
        (['drive1/x.jpg', 'drive2/x.jpg'], ['drive2/x.jpg', 'drive1/x.jpg'], None),  # by path
        (['x.jpg', 'y.jpg'], ['val/x.jpg', 'val/y.jpg'], {'x.jpg': 'val/x.jpg', 'y.jpg': 'val/y.jpg'}),
        (
            ['val/x.jpg', 'x.jpg'],
            ['val/x.jpg', 'test/x.jpg'],
            {'val/x.jpg': 'val/x.jpg', 'x.jpg': 'test/x.jpg'},
        ),
        (['a'], ['a', 'not run'], dict(a='a')),
    ],
)
def test_frames_are_matched_by_path(tmp_path, found, truth, pairs):
    score = {name: 0.1 + 0.2 * k for k, name in enumerate(truth)}
    scores = {name: score[(pairs or dict(zip(truth, truth)))[name]] for name in found}
    known = read_detection_file(write(tmp_path / 'det.json', [frame(n, scores[n], 0.0) for n in found]))
    objects = read_detection_file(
        write(tmp_path / 'gt.json', [frame(n, score[n], 0.0) for n in truth]), False
    )
    covered, objects = align(known, objects)
    assert sorted(set(covered.image)) == sorted(set(objects.image)) and len(covered.image) == 2 * len(found)
    for name, value in zip(covered.image, covered.score, strict=True):
        assert value == pytest.approx(score[name])
    assert f1_threshold(covered, objects) > 0


def test_frames_that_cannot_be_matched(tmp_path):
    def files(found, truth):
        return (
            read_detection_file(write(tmp_path / 'f.json', [frame(n, 0.5, 0.0) for n in names]))
            for names in (found, truth)
        )

    for found, truth in ((['x.jpg'], ['a/x.jpg', 'b/x.jpg']), (['a/x.jpg', 'b/x.jpg'], ['x.jpg'])):
        with pytest.raises(ValueError, match='x.jpg is in .*a/x.jpg, b/x.jpg'):
            align(*files(found, truth))
    with pytest.raises(ValueError, match=r'none of the 1 .* \(such as a\) is among the 1 .* \(such as b\)'):
        align(*files(['a'], ['b']))
    with pytest.warns(UserWarning, match='1 of 2 in-distribution frames have no ground truth'):
        covered, _ = align(*files(['a', 'b'], ['b']))
    assert set(covered.image) == {'b'}
    with pytest.raises(ValueError, match='1 frames are there more than once, such as a'):
        next(files(['a', 'a'], []))
    videos = [frame('a', 0.5, 0.0, videoName=video) for video in ('v', 'w')]
    assert read_detection_file(write(tmp_path / 'v.json', videos)).frames == ['v/a', 'w/a']
    with pytest.raises(ValueError, match='no frame'):
        next(files([], []))


def test_coco_subset_keeps_annotated_images_without_known_objects():
    content = dict(
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(4)],
        categories=[dict(id=1, name='person'), dict(id=2, name='dog')],
        annotations=[
            dict(id=1, image_id=0, category_id=1),
            dict(id=2, image_id=1, category_id=1),
            dict(id=3, image_id=1, category_id=2),
            dict(id=4, image_id=2, category_id=2),
        ],
    )
    subset = coco_subset(content, ['person'])
    assert [i['id'] for i in subset['images']] == [2] and [a['id'] for a in subset['annotations']] == [4]
    with pytest.raises(ValueError, match='no category car'):
        coco_subset(content, ['car'])
    assert len(COCO_KNOWN['bdd100k']) == 9 and len(COCO_KNOWN['voc']) == 20


def test_openimages_subset(tmp_path):
    for name in 'abc':
        Image.new('RGB', (100, 50)).save(tmp_path / f'{name}.jpg')
    (tmp_path / 'classes.csv').write_text('/m/1,Car\n/m/2,Taxi\n/m/3,Wheel\n')
    (tmp_path / 'boxes.csv').write_text(
        'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n'
        'a,x,/m/2,1,0,1,0,1,0\nb,x,/m/3,1,0.1,0.5,0.2,0.6,1\nmissing,x,/m/3,1,0,1,0,1,0\n'
    )
    tree = dict(
        LabelName='/m/0',
        Subcategory=[
            dict(LabelName='/m/1', Subcategory=[dict(LabelName='/m/2')], Part=[dict(LabelName='/m/3')])
        ],
    )
    (tmp_path / 'tree.json').write_text(json.dumps(tree))
    assert descendants(tree, ['/m/1']) == {'/m/1', '/m/2'}
    arguments = (tmp_path / 'boxes.csv', tmp_path / 'classes.csv', tmp_path, ['Car'])
    subset = openimages_subset(*arguments, hierarchy=tmp_path / 'tree.json')
    assert [i['file_name'] for i in subset['images']] == ['b.jpg']
    assert subset['annotations'][0]['bbox'] == pytest.approx([10, 10, 40, 20])
    assert subset['annotations'][0]['iscrowd'] == 1
    assert len(openimages_subset(*arguments)['images']) == 2  # without the hierarchy a taxi is no car
    with pytest.raises(ValueError, match='no class Bus'):
        openimages_subset(*arguments[:3], ['Bus'])
