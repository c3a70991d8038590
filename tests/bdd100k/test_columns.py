import json

import numpy as np
import pytest

from mmroad.bdd100k import columns as columns_module
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError


def label(category='car', x1=1.0, y1=2.0, x2=10.0, y2=20.0, **extra):
    return {'id': '0', 'category': category, 'box2d': dict(x1=x1, y1=y1, x2=x2, y2=y2), **extra}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def frame(name, labels=None, **extra):
    return {'name': name, 'labels': labels, **extra}


FRAMES = [
    frame('a.jpg', [label(), label('person', score=0.5)], attributes={'weather': 'clear'}),
    frame('b.jpg', None),
    frame('c.jpg', [label('other vehicle'), label('bike', attributes={'crowd': True, 'occluded': False})]),
    frame('d.jpg', []),
    frame(
        'e.jpg',
        [label('rider', attributes={'ignored': True})],
        attributes={'weather': 'rainy', 'scene': 'tunnel'},
    ),
]


def test_columns_hold_what_the_file_holds(tmp_path):
    got = read_columns(write(tmp_path / 'gt.json', FRAMES))
    assert got.names == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg']
    assert got.has_labels.tolist() == [True, False, True, False, True]
    assert got.frame.tolist() == [0, 0, 2, 2, 4]
    assert [DET_CLASSES[c] for c in got.category] == ['car', 'pedestrian', 'car', 'bicycle', 'rider']
    assert got.ignored.tolist() == [False, False, True, False, True]
    assert got.crowd.tolist() == [False, False, False, True, False]
    assert np.isnan(got.score[[0, 2, 3, 4]]).all() and got.score[1] == 0.5
    assert got.xyxy[0].tolist() == [1, 2, 10, 20] and got.xywh[0].tolist() == [1, 2, 10, 19]
    weather = [got.attribute_values['weather'][c] for c in got.attributes['weather']]
    assert weather == ['clear', '', '', '', 'rainy']


@pytest.mark.parametrize('form', ['list', 'frames', 'folder', 'frames_last'])
@pytest.mark.parametrize('sort_keys', [False, True])
def test_slices_change_nothing(tmp_path, monkeypatch, form, sort_keys):
    rng = np.random.default_rng(0)
    frames = [
        frame(
            f'{i}.jpg',
            [label(x1=float(rng.random()), note='}, {"name": "x"') for _ in range(rng.integers(0, 6))],
            attributes={'weather': 'clear', 'scene': 'city street', 'timeofday': 'night'},
        )
        for i in range(200)
    ]
    path = tmp_path / 'gt.json'
    if form == 'folder':
        path = tmp_path / 'gt'
        path.mkdir()
        for i in range(4):
            (path / f'{i}.json').write_text(json.dumps(frames[50 * i : 50 * i + 50], sort_keys=sort_keys))
    else:
        content = {
            'list': frames,
            'frames': {'frames': frames, 'groups': None, 'config': None},
            'frames_last': {'config': None, 'frames': frames},
        }[form]
        path.write_text(json.dumps(content, indent=1, sort_keys=sort_keys))
    whole = read_columns(path)
    monkeypatch.setattr(columns_module, 'SLICE', 700)
    seen = []
    sliced = read_columns(path, progress=lambda done, total: seen.append((done, total)))
    assert sliced.names == whole.names == [f'{i}.jpg' for i in range(200)]
    np.testing.assert_array_equal(sliced.xyxy, whole.xyxy)
    np.testing.assert_array_equal(sliced.frame, whole.frame)
    assert seen[-1][0] == seen[-1][1]
    if form in ('list', 'frames'):
        assert len(seen) > 10


def test_legacy_file_with_lanes(tmp_path):
    lane = {
        'category': 'lane',
        'id': 3,
        'poly2d': [{'vertices': [[0, 0]]}],
        'attributes': {'direction': 'parallel'},
    }
    path = write(
        tmp_path / 'old.json', [frame('a.jpg', [lane, label('motor'), {'category': 'drivable area'}])]
    )
    assert [DET_CLASSES[c] for c in read_columns(path).category] == ['motorcycle']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([frame('a.jpg', [label('dog')])], "frame 'a.jpg': labels[0].category is 'dog'"),
        ({'images': [], 'annotations': []}, 'A COCO file has "images"'),
        ([frame('a.jpg', [label(x1='one')])], 'Expected `float`, got `str` - at `$[0].labels[0].box2d.x1`'),
        ([{'labels': []}], 'missing required field `name`'),
        ({'frames': [frame('a.jpg', []), frame('b.jpg', [label(y2=None)])]}, "box2d.y2` (frame 'b.jpg')"),
        ([frame('a.jpg', []), frame('b.jpg', [label(x2=float('nan'))])], "after frame 'b.jpg', near"),
        ([frame('a.jpg', [label(y1=-float('inf'))])], '"y1": -Infinity'),
    ],
)
def test_wrong_files_are_named_with_the_place(tmp_path, content, message):
    path = write(tmp_path / 'gt.json', content)
    with pytest.raises(LabelFileError) as caught:
        read_columns(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_an_error_in_a_late_slice_names_the_place_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(columns_module, 'SLICE', 300)
    frames = [frame(f'{i}.jpg', [label()]) for i in range(50)]
    frames[40]['labels'][0]['box2d']['y2'] = None
    with pytest.raises(LabelFileError, match=r'\$\[40\]\.labels\[0\]\.box2d\.y2'):
        read_columns(write(tmp_path / 'gt.json', frames))


def test_boxes_and_duplicates_are_checked(tmp_path):
    good = read_columns(write(tmp_path / 'gt.json', [frame('a.jpg', [label()]), frame('a.jpg', [])]))
    good.check_boxes()
    assert good.duplicates() == ['a.jpg']
    bad = read_columns(write(tmp_path / 'gt.json', [frame('b.jpg', [label(), label('bus', x2=-5.0)])]))
    with pytest.raises(LabelFileError, match=r"frame 'b\.jpg': box2d of a bus is inverted"):
        bad.check_boxes()
    other = read_columns(write(tmp_path / 'seg.json', [frame('a.jpg', [{'category': 'car', 'rle': {}}])]))
    with pytest.raises(LabelFileError, match='label file of another task'):
        other.check_boxes()
    bad.xyxy[0, 1] = np.inf
    with pytest.raises(LabelFileError, match='of a car is not finite'):
        bad.check_boxes()
