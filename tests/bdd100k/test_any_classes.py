"""Data set, metric and prediction files of classes that are not BDD100K's."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmroad.bdd100k.categories import ANY
from mmroad.bdd100k.coco import read_coco_results
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.dataset import BDD100KDetDataset, ScalabelDetDataset
from mmroad.bdd100k.format import Prediction, write_predictions
from mmroad.bdd100k.index import indexed_columns
from mmroad.bdd100k.metric import ScalabelDetMetric
from mmroad.bdd100k.scalabel import LabelFileError

CLASSES = ('forklift', 'cone', 'person')


def label(category, x1=1.0, y1=2.0, x2=10.0, y2=20.0, **attributes):
    return dict(id='0', category=category, box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2), attributes=attributes)


FRAMES = [
    dict(name='a.jpg', labels=[label('person'), label('forklift', x2=30), label('cone', crowd=True)]),
    dict(name='b.jpg', labels=[label('cone', x1=5), label('bus')]),
    dict(name='c.jpg', labels=[]),
]
COCO = dict(
    images=[dict(id=31, file_name='c.jpg'), dict(id=4, file_name='a.jpg'), dict(id=9, file_name='b.jpg')],
    categories=[dict(id=7, name='person'), dict(id=3, name='forklift'), dict(id=20, name='cone')],
    annotations=[
        dict(id=1, image_id=4, category_id=7, bbox=[1, 2, 10, 19], area=50),
        dict(id=2, image_id=9, category_id=20, bbox=[5, 2, 6, 19], area=60, ignore=1),
        dict(id=3, image_id=4, category_id=3, bbox=[1, 2, 30, 19], iscrowd=1),
        dict(id=4, image_id=4, category_id=3),
    ],
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images').mkdir()
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'images/{name}.jpg'), np.zeros((24, 32, 3), np.uint8))
    (tmp_path / 'scalabel.json').write_text(json.dumps(FRAMES))
    (tmp_path / 'coco.json').write_text(json.dumps(COCO))
    return tmp_path


def build(root, file='scalabel.json', **kwargs):
    return ScalabelDetDataset(data_root=str(root), ann_file=file, data_prefix=dict(img='images'), **kwargs)


def test_classes_are_the_files_or_those_that_are_given(root):
    every = build(root)
    assert every.metainfo['classes'] == ('bus', 'cone', 'forklift', 'person') and every.metainfo['palette'][
        :2
    ] == [(242, 82, 61), (61, 92, 242)]
    some = build(root, classes=CLASSES)
    assert (
        some.metainfo['classes'] == CLASSES == build(root, metainfo=dict(classes=CLASSES)).metainfo['classes']
    )
    assert [i['bbox_label'] for i in some.get_data_info(0)['instances']] == [2, 0, 1]
    assert [i['bbox'] for i in some.get_data_info(1)['instances']] == [[5, 2, 11, 21]]
    assert [i['ignore_flag'] for i in some.get_data_info(0)['instances']] == [0, 0, 1]
    assert build(root, 'coco.json').metainfo['classes'] == ('person', 'forklift', 'cone')
    with pytest.raises(
        ValueError, match='none of its 5 boxes is of the classes tree; its categories are bus, cone'
    ):
        build(root, classes=['tree'])
    with pytest.raises(ValueError, match='one stands twice'):
        build(root, classes=['cone', 'cone'])


def test_a_coco_file_is_read_as_it_is(root):
    data = build(root, 'coco.json', classes=CLASSES)
    columns = data.columns
    assert data.frame_keys() == ['c.jpg', 'a.jpg', 'b.jpg'] and columns.image_ids.tolist() == [31, 4, 9]
    assert (
        columns.category_ids == (7, 3, 20) and columns.unboxed == 1 and columns.area.tolist() == [50, 570, 60]
    )
    assert [(i['bbox'], i['ignore_flag']) for i in data.get_data_info(1)['instances']] == [
        ([1, 2, 11, 21], 0),
        ([1, 2, 31, 21], 1),
    ]
    again = indexed_columns(root / 'coco.json', ANY)
    assert again.area.tolist() == [50, 570, 60] and again.image_ids.tolist() == [31, 4, 9]
    assert (again.classes, again.category_ids) == (columns.classes, columns.category_ids)


def test_other_readings_have_other_caches(root):
    (root / 'gt.json').write_text(json.dumps([dict(name='a.jpg', labels=[label('person'), label('bike')])]))
    for _ in range(2):
        assert indexed_columns(root / 'gt.json', ANY).classes == ('bike', 'person')
        assert len(indexed_columns(root / 'gt.json').classes) == 10
    assert {p.name for p in root.glob('.gt.json*')} == {'.gt.json.index', '.gt.json.any.index'}
    with pytest.raises(LabelFileError, match='ScalabelDetDataset'):
        read_columns(root / 'scalabel.json')
    coco = {
        **COCO,
        'categories': [dict(id=7, name='person'), dict(id=3, name='car'), dict(id=20, name='other vehicle')],
    }
    (root / 'bdd.json').write_text(json.dumps(coco))
    found = read_columns(root / 'bdd.json')
    assert found.category.tolist() == [0, 2, 2] and found.ignored.tolist() == [False, False, True]
    assert found.category_ids[:3] == (7, 21, 3)  # the rider has none in the file
    assert (
        BDD100KDetDataset(data_root=str(root), ann_file='bdd.json', data_prefix=dict(img='images')).metainfo[
            'classes'
        ]
        == found.classes
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(images=[dict(id=4, file_name='a.jpg'), dict(id=4, file_name='b.jpg')]), '2 images have id 4'),
        (dict(categories=[dict(id=1, name='a'), dict(id=2, name='a')]), "2 categories are named 'a'"),
        (dict(annotations=[dict(image_id=99, category_id=7, bbox=[1, 1, 2, 2])]), 'image_id 99'),
        (dict(annotations=[dict(image_id=4, category_id=7, bbox=[1, 1, 2])]), 'not a COCO file'),
        (dict(images=[dict(id='x', file_name='a.jpg')]), 'Expected `int`, got `str`'),
    ],
)
def test_coco_files_that_cannot_be_used_are_named(root, change, message):
    (root / 'bad.json').write_text(json.dumps({**COCO, **change}))
    with pytest.raises(LabelFileError, match=message) as caught:
        read_columns(root / 'bad.json', ANY)
    assert 'bad.json' in str(caught.value)


def test_coco_results_are_columns_of_the_ground_truths_classes(root):
    truth = read_columns(root / 'coco.json', ANY)
    rows = [
        dict(image_id=9, category_id=20, bbox=[5, 2, 6, 19], score=0.5),
        dict(image_id=4, category_id=7, bbox=[1, 2, 10, 19], score=0.25),
        dict(image_id=9, category_id=3, bbox=[0, 0, 2, 1], score=1),
        dict(image_id=9, category_id=3, segmentation=dict(size=[24, 32], counts='a'), score=1),
    ]
    (root / 'results.json').write_text(json.dumps(rows))
    found = read_coco_results(root / 'results.json', truth)
    assert found.names == ['a.jpg', 'b.jpg'] and found.frame.tolist() == [0, 1, 1]
    assert found.xyxy.tolist() == [[1, 2, 10, 20], [5, 2, 10, 20], [0, 0, 1, 0]]
    assert found.score.tolist() == [0.25, 0.5, 1] and found.unboxed == 1
    assert [found.classes[c] for c in found.category] == ['person', 'cone', 'forklift']
    (root / 'results.json').write_text('[]')
    assert len(read_coco_results(root / 'results.json', truth).xyxy) == 0
    for change, message in (
        (
            dict(image_id=5),
            r'results\.json: 1 of 2 results have the wrong image_id: .* has no 5; it has 31, 4, 9',
        ),
        (
            dict(category_id=6),
            '1 of 2 results have the wrong category_id: .* has no 6; it has 7, 3, 20',
        ),
    ):
        (root / 'results.json').write_text(json.dumps([rows[0], rows[0] | change]))
        with pytest.raises(LabelFileError, match=message):
            read_coco_results(root / 'results.json', truth)


def test_the_metric_scores_the_models_classes_and_keeps_the_files_ids(root, tmp_path):
    data = build(root, 'coco.json', classes=CLASSES)
    metric = ScalabelDetMetric(of_dataset=True, format_dir=str(tmp_path / 'out'))
    metric.dataset_meta = data.metainfo
    metric.use(data)
    for i in range(3):
        info = data.get_data_info(i)
        boxes = [one['bbox'] for one in info['instances'] if not one['ignore_flag']]
        labels = [one['bbox_label'] for one in info['instances'] if not one['ignore_flag']]
        found = InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4).double(),
            scores=torch.full((len(boxes),), 0.5),
            labels=torch.tensor(labels),
        )
        metric.process({}, [dict(img_id=info['img_id'], file_name=info['file_name'], pred_instances=found)])
    scores = metric.evaluate(3)
    assert scores['det/AP'] == pytest.approx(100) and scores['det/AP/person'] == pytest.approx(100)
    assert np.isnan(scores['det/AP/cone'])
    (row,) = json.loads((tmp_path / 'out/det.coco.json').read_text())
    assert (row['image_id'], row['category_id'], row['bbox']) == (4, 7, [1, 2, 10, 19])


def test_ids_of_classes_never_meet(tmp_path):
    found = [Prediction(0, 'a.jpg', [[1, 1, 5, 5]] * 3, [0.5] * 3, [0, 1, 2])]
    for classes, given, want in (
        (('a', 'car', 'b'), None, [1, 2, 3]),
        (('car', 'pedestrian', 'bus'), None, [3, 1, 5]),
        (('a', 'car', 'b'), dict(car=7), [8, 7, 10]),
    ):
        write_predictions(found, tmp_path, 1, classes, [41], given)
        rows = json.loads((tmp_path / 'det.coco.json').read_text())
        assert [row['category_id'] for row in rows] == want and {row['image_id'] for row in rows} == {41}
