"""Predictions of other tools, and any classes, are scored alike."""

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.eval.det import align, evaluate_det, scores_of
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.commands.eval import main
from mmroad.labels.form import Box, Image, LabelSet
from mmroad.labels.formats import read_sets, write
from mmroad.labels.names import COCO80, COCO91, matcher, read_names
from mmroad.labels.predictions import read_predictions
from mmroad.labels.scoring import read_result, read_truth

SAMPLE = Path(__file__).parents[2] / '../shared/data/bdd100k_sample'
CLASSES = ('person', 'car', 'forklift')
OWN = dict(person='pedestrian', car='car')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A ground truth of own classes with images, in COCO's form, and predictions for it."""
    import cv2

    root = tmp_path_factory.mktemp('scores')
    rng = np.random.default_rng(1)
    images, found = [], []
    for i in range(6):
        name = f'cam/{i:03}.png'
        (root / 'images/cam').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / 'images' / name), np.zeros((120, 200, 3), np.uint8))
        boxes, predicted = [], []
        for _ in range(6):
            x, y, w, h = rng.uniform([0, 0, 8, 8], [140, 60, 60, 60])
            category = CLASSES[rng.integers(3)]
            boxes.append(Box(category, x, y, x + w, y + h, crowd=rng.random() < 0.1))
            if rng.random() < 0.8:
                dx, dy = rng.normal(0, 3, 2)
                score = round(float(rng.random()), 3)
                predicted.append(Box(category, x + dx, y + dy, x + w + dx, y + h + dy, score=score))
        images.append(Image(name, boxes, 200, 120, id=10 * i + 7))
        found.append(Image(name, predicted, 200, 120, id=10 * i + 7))
    ids = dict(person=4, car=9, forklift=2)
    truth = LabelSet(images, CLASSES, 'made', root / 'images', category_ids=ids)
    write({'': truth}, 'coco', root / 'gt.json')
    return root, LabelSet(found, CLASSES, 'made', root / 'images', category_ids=ids)


def results(labels, ids):
    return [
        dict(image_id=i.id, category_id=ids[b.category], bbox=[b.x1, b.y1, b.width, b.height], score=b.score)
        for i, b in labels.boxes()
    ]


def official(gt, rows):
    truth = COCO(str(gt))
    run = COCOeval(truth, truth.loadRes(rows), 'bbox')
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats


@pytest.mark.parametrize('backend', ['hotcoco', 'pycocotools'])
def test_coco_files_score_as_pycocotools_scores_them(made, tmp_path, backend, capsys):
    root, found = made
    content = json.loads((root / 'gt.json').read_text())
    for box in content['annotations']:
        box['area'] *= 0.5  # of masks: areas of the file decide what is small
    (tmp_path / 'gt.json').write_text(json.dumps(content))
    rows = results(found, found.category_ids)
    (tmp_path / 'det.json').write_text(json.dumps(rows))
    truth, said = read_truth(tmp_path / 'gt.json')
    pred, told = read_result(tmp_path / 'det.json', truth)
    scores = scores_of(align(truth, pred), backend)
    want = official(tmp_path / 'gt.json', rows)
    got = [
        scores[key][1]['OVERALL'] / 100
        for key in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100')
    ]
    np.testing.assert_allclose(got, np.where(want < 0, np.nan, want)[:9], atol=1e-12)
    assert said == ['3 classes of the ground truth: person, car, forklift'] and told == []
    assert list(scores['AP'][0]) == list(CLASSES) and 20 < scores['AP50'][1]['OVERALL'] < 100


def write_ultralytics(folder, found):
    for image in found.images:
        lines = []
        for b in image.boxes:
            x, y, w, h = (b.x1 + b.x2) / 400, (b.y1 + b.y2) / 240, b.width / 200, b.height / 120
            lines.append(f'{CLASSES.index(b.category)} {x:.9f} {y:.9f} {w:.9f} {h:.9f} {b.score}')
        (folder / f'{Path(image.name).stem}.txt').write_text('\n'.join(lines) + '\n' if lines else '')


def by_image(found, **more):
    return {
        Path(image.name).name: dict(
            boxes=[[b.x1, b.y1, b.x2, b.y2] for b in image.boxes],
            labels=[CLASSES.index(b.category) for b in image.boxes],
            scores=[b.score for b in image.boxes],
        )
        for image in found.images
    }


def test_every_tool_s_files_give_the_same_scores(made, tmp_path):
    root, found = made
    truth, _ = read_truth(root / 'gt.json')
    (tmp_path / 'coco.json').write_text(json.dumps(results(found, found.category_ids)))
    want = evaluate_det(truth, read_result(tmp_path / 'coco.json', truth)[0])['AP'][1]['OVERALL']
    (tmp_path / 'names.txt').write_text('\n'.join(CLASSES))
    names = str(tmp_path / 'names.txt')

    (tmp_path / 'labels').mkdir()
    write_ultralytics(tmp_path / 'labels', found)
    tables = by_image(found)
    (tmp_path / 'torchvision.json').write_text(json.dumps(tables))
    tensors = {
        name: {key: torch.tensor(value) for key, value in table.items()} for name, table in tables.items()
    }
    torch.save(tensors, tmp_path / 'torchvision.pt')
    keys = dict(boxes='xyxy', labels='class_id', scores='confidence')
    (tmp_path / 'rfdetr.json').write_text(
        json.dumps({n: {keys[k]: v for k, v in t.items()} for n, t in tables.items()})
    )
    with open(tmp_path / 'sink.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['x_min', 'y_min', 'x_max', 'y_max', 'class_id', 'confidence', 'tracker_id', 'image'])
        for image, b in found.boxes():
            writer.writerow(
                [b.x1, b.y1, b.x2, b.y2, CLASSES.index(b.category), b.score, '', f'/data/{image.name}']
            )
    write({'': found}, 'scalabel', tmp_path / 'det.json')

    for file, images in (
        ('labels', root / 'images'), ('torchvision.json', None), ('torchvision.pt', None), ('rfdetr.json', None),
        ('sink.csv', None), ('det.json', None),
    ):  # fmt: skip
        pred, told = read_result(tmp_path / file, truth, names if file != 'det.json' else None, None, images)
        assert told == [], file
        assert evaluate_det(truth, pred)['AP'][1]['OVERALL'] == pytest.approx(want, abs=1e-3), file


def test_names_are_matched_by_a_table_then_spelling_then_aliases(tmp_path):
    match = matcher(
        ('pedestrian', 'traffic light', 'forklift'), {'fork-lift truck': 'forklift', 'bench': None}
    )
    wanted = dict(
        person='pedestrian', Traffic_Light='traffic light', people='pedestrian', bench=None, zebra=None
    )
    wanted['fork-lift truck'] = 'forklift'
    assert {name: match(name) for name in wanted} == wanted
    assert (
        len(COCO80) == 80
        and COCO91[90] == 'toothbrush'
        and COCO91[13] == 'stop sign'
        and COCO91[1] == 'person'
    )
    (tmp_path / 'data.yaml').write_text('names: {0: a, 1: b}\n')
    (tmp_path / 'c.json').write_text('{"categories": [{"id": 5, "name": "x"}]}')
    assert read_names(str(tmp_path / 'data.yaml')) == {0: 'a', 1: 'b'} and read_names(
        str(tmp_path / 'c.json')
    ) == {5: 'x'}


def test_coco_s_names_on_bdd100k_are_mapped_and_the_rest_is_told(tmp_path, capsys):
    box = dict(x1=1, y1=1, x2=40, y2=40)
    (tmp_path / 'gt.json').write_text(
        json.dumps(
            [
                dict(
                    name='a.jpg',
                    labels=[dict(id='0', category=c, box2d=box) for c in ('pedestrian', 'traffic sign')],
                )
            ]
        )
    )
    table = dict(boxes=[[1, 1, 41, 41]] * 4, labels=[1, 13, 17, 17], scores=[0.9, 0.8, 0.7, 0.6])
    (tmp_path / 'p.json').write_text(json.dumps({'a.jpg': table, 'other.jpg': table}))
    words = ['-t', 'det', '-g', str(tmp_path / 'gt.json'), '-r', str(tmp_path / 'p.json')]
    main([*words, '--class-names', 'coco91', '--out-file', str(tmp_path / 'scores.json')])
    said = capsys.readouterr().err
    assert "2 predictions of 'cat' are left out: no class of the ground truth" in said
    assert (
        "predictions of 1 images are left out: the ground truth has none of them, such as 'other.jpg'" in said
    )
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert min(scores['AP'][0]['pedestrian'], scores['AP'][0]['traffic sign']) > 99.9
    (tmp_path / 'map.json').write_text('{"person": null, "cat": "pedestrian"}')
    truth, _ = read_truth(tmp_path / 'gt.json')
    pred, told = read_predictions(tmp_path / 'p.json', truth, 'coco91', tmp_path / 'map.json')
    assert (
        told[0]
        == "1 predictions of 'person' are left out: no class of the ground truth (--class-map names one)"
    )
    with pytest.raises(SystemExit, match='its classes are numbers'):
        main(words)
    (tmp_path / 'map.json').write_text('{"person": "tree"}')
    with pytest.raises(SystemExit, match=r'map\.json: maps to tree'):
        main([*words, '--class-map', str(tmp_path / 'map.json'), '--class-names', 'coco91'])


def test_own_classes_are_scored_from_the_command_line(made, tmp_path, capsys):
    root, found = made
    write({'': read_sets(root / 'gt.json')['']}, 'scalabel', tmp_path / 'gt.json')
    write({'': found}, 'scalabel', tmp_path / 'det.json')
    words = ['-t', 'det', '-g', str(tmp_path / 'gt.json'), '-r', str(tmp_path / 'det.json')]
    with pytest.raises(SystemExit, match="category is '(car|forklift)', which is no BDD100K|with --classes"):
        main(words)
    capsys.readouterr()
    main([*words, '--classes', 'from-files', '--confusion', str(tmp_path / 'c.csv'), '-q'])
    assert 'forklift' in capsys.readouterr().out and 'forklift' in (tmp_path / 'c.csv').read_text()
    main([*words, '--classes', 'forklift', '-q', '--out-file', str(tmp_path / 'one.json')])
    one = json.loads((tmp_path / 'one.json').read_text())
    assert list(one['AP'][0]) == ['forklift'] and one['AP'][0]['forklift'] == one['AP'][1]['OVERALL']
    with pytest.raises(SystemExit, match='has no tree'):
        main([*words, '--classes', 'tree'])


def test_a_voc_folder_is_a_ground_truth(made, tmp_path):
    root, found = made
    truth, _ = read_truth(root / 'gt.json')
    write(read_sets(root / 'gt.json', images=root / 'images'), 'voc', tmp_path / 'voc')
    write({'': found}, 'scalabel', tmp_path / 'det.json')
    voc, _ = read_truth(tmp_path / 'voc')
    scores = [evaluate_det(t, read_result(tmp_path / 'det.json', t)[0]) for t in (truth, voc)]
    assert scores[0]['AP'][1] == pytest.approx(scores[1]['AP'][1])


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.csv', 'x_min,y_min,x_max,y_max,class_id,confidence\n1,1,2,2,0,0.5\n', 'row 1 has no image'),
        ('a.json', '{"a.png": {"boxes": [], "labels": []}}', 'has no scores or confidence'),
        ('a.json', '{"a.png": {"boxes": [[1,1,2,2]], "labels": [], "scores": []}}', '1 boxes, 0 labels'),
        ('a.json', '{"a.png": []}', 'expected "boxes"'),
        ('a.json', '[{"image_id": "a", "category_id": 1, "score": 1}]', 'result 1: KeyError'),
        ('none.json', None, 'no such file'),
    ],
)
def test_files_that_are_no_predictions_are_named(made, tmp_path, name, text, message):
    truth, _ = read_truth(made[0] / 'gt.json')
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((LabelFileError, FileNotFoundError), match=message):
        read_predictions(tmp_path / name, truth, 'coco80')


def test_ids_of_another_file_are_refused(made, tmp_path):
    root, found = made
    truth, _ = read_truth(root / 'gt.json')
    (tmp_path / 'det.json').write_text(
        json.dumps([dict(image_id=7, category_id=1, bbox=[1, 1, 2, 2], score=1)])
    )
    with pytest.raises(
        LabelFileError, match='1 of 1 results have the wrong category_id: the ground truth .* has no 1'
    ):
        read_result(tmp_path / 'det.json', truth)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='no ../shared')
def test_real_predictions_as_coco_results_score_as_before():
    truth = read_columns(SAMPLE / 'gt.json')
    want = evaluate_det(truth, read_columns(SAMPLE / 'pred.json'))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        pred, told = read_predictions(SAMPLE / 'pred.json', truth)
    assert evaluate_det(truth, pred)['AP'][1]['OVERALL'] == pytest.approx(want['AP'][1]['OVERALL'], abs=1e-9)
    assert told == []
