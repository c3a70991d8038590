"""Protocols, measures and subsets of out-of-distribution detection."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmroad.abet.ood_detection import (
    Detections,
    best_f1_threshold,
    evaluate,
    f1_threshold,
    ood_measures,
    read_detections,
    table,
)
from mmroad.abet.ood_subsets import COCO_KNOWN, coco_subset, descendants, openimages_subset

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
    # one OOD box between; the recall nearest .95 is 1, which the last point has too
    mixed = ood_measures([3, 1], [2, 0])
    assert mixed['auroc'] == 0.75 and mixed['fpr95'] == 1.0
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


def test_threshold_is_the_mean_of_the_classes_best():
    recalls = np.array([0.0, 0.5, 1.0])
    precision = np.array([[1, 1, 0.2], [1, 0.9, 0.9], [-1, -1, -1]]).T[None]
    scores = np.array([[0.9, 0.6, 0.1], [0.8, 0.5, 0.3], [-1, -1, -1]]).T[None]
    assert best_f1_threshold(precision, scores, recalls) == pytest.approx((0.6 + 0.3) / 2)
    with pytest.raises(ValueError, match='no in-distribution object'):
        best_f1_threshold(precision[..., 2:], scores[..., 2:], recalls)


def test_both_protocols():
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40], [60, 0, 90, 9]]
    truth = rows(['a', 'a'], [0, 1], boxes[:2], [0, 0])
    found = rows(['a', 'a', 'a'], [0, 1, 1], boxes, [0.9, 0.7, 0.2], [-5, -4, -1])
    assert f1_threshold(found, truth) == pytest.approx(0.8)
    other = rows(['b', 'b'], [0, 2], boxes[:2], [0.85, 0.1], [-3, -2])
    results = evaluate(found, dict(coco=other), truth)
    assert results['coco/all']['id'] == 3 and results['coco/all']['auroc'] == pytest.approx(4 / 6)
    assert results['coco/best_f1'] == dict(
        auroc=1.0, aupr=1.0, fpr95=1.0, threshold=pytest.approx(0.8), id=1, ood=1
    )
    assert 'coco/best_f1' in table(results)


def test_files_and_the_tool(tmp_path):
    def frame(name, score, ood):
        box = dict(x1=1, y1=2, x2=9, y2=9)
        label = dict(id='1', category='car', score=score, ood_score=ood, box2d=box)
        return dict(name=name, labels=[label, dict(category='banana', box2d=box, score=1, ood_score=0)])

    known, unknown, gt = (tmp_path / f'{n}.json' for n in ('id', 'ood', 'gt'))
    known.write_text(json.dumps([frame('a.jpg', 0.9, -4.0), frame('b.jpg', 0.8, -3.0)]))
    unknown.write_text(json.dumps(dict(frames=[frame('c.jpg', 0.5, -1.0), frame('d.jpg', 0.9, -1.0)])))
    gt.write_text(json.dumps([dict(f, labels=f['labels'][:1]) for f in json.loads(known.read_text())]))
    got = read_detections(known)
    assert got.image.tolist() == ['a.jpg', 'b.jpg'] and got.xyxy[0].tolist() == [1, 2, 10, 10]
    assert got.label.tolist() == [2, 2] and got.ood_score.tolist() == [-4, -3]
    tool = ROOT / 'tools/analysis_tools/eval_ood_detection.py'
    command = [sys.executable, tool, known, '--ood', f'x={unknown}', '--gt', gt, '--out', tmp_path / 'o.json']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / 'o.json').read_text())['x/all']['auroc'] == 1.0
    assert 'x/best_f1' in done.stdout
    bare = [dict(name='a', labels=[dict(category='car', score=0.5, box2d=dict(x1=0, y1=0, x2=1, y2=1))])]
    unknown.write_text(json.dumps(bare))
    with pytest.raises(ValueError, match='lacks score or ood_score'):
        read_detections(unknown)


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
