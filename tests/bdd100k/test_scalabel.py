"""Reading Scalabel files: every layout, and errors that name the place."""

import json

import pytest

from mmroad.bdd100k.scalabel import (
    DET_CLASSES,
    LabelFileError,
    duplicate_names,
    load_frames,
    map_category,
)

FRAME = {
    'name': 'a.jpg',
    'attributes': {'weather': 'clear'},
    'labels': [
        {
            'id': '7',
            'category': 'car',
            'box2d': {'x1': 1, 'y1': 2.5, 'x2': 10, 'y2': 20},
            'attributes': {'crowd': True},
            'poly2d': [{'vertices': [[0, 0]], 'types': 'L', 'closed': False}],
        }
    ],
}


@pytest.mark.parametrize('content', [[FRAME], {'frames': [FRAME], 'groups': None}, FRAME])
def test_every_layout_gives_the_same_frame(tmp_path, content):
    file = tmp_path / 'labels.json'
    file.write_text(json.dumps(content))
    for source in (file, tmp_path):
        (frame,) = load_frames(source)
        (label,) = frame.labels
        assert frame.name == 'a.jpg' and frame.attributes == {'weather': 'clear'}
        assert (label.box2d.x1, label.box2d.y1, label.box2d.x2, label.box2d.y2) == (1, 2.5, 10, 20)
        assert label.category == 'car' and label.id == '7' and label.attributes == {'crowd': True}


def test_frames_without_labels_are_kept(tmp_path):
    file = tmp_path / 'labels.json'
    file.write_text('[{"name": "a.jpg"}, {"name": "b.jpg", "labels": null}, {"name": "c.jpg", "labels": []}]')
    assert [frame.labels for frame in load_frames(file)] == [None, None, []]


def test_folder_is_read_in_sorted_order(tmp_path):
    for name in ('b', 'a'):
        (tmp_path / f'{name}.json').write_text(json.dumps([{'name': f'{name}.jpg'}]))
    assert [frame.name for frame in load_frames(tmp_path)] == ['a.jpg', 'b.jpg']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[{"name": "a.jpg", "labels": [{"box2d": {"x1": "left"}}]}]', r'\$\[0\]\.labels\[0\]\.box2d'),
        ('[{"labels": []}]', 'missing required field `name`'),
        ('[{"name": "a.jpg"', 'not a Scalabel label file'),
        ('{"images": [], "annotations": []}', 'annotations, images'),
        ('hello', 'not JSON'),
        ('', 'not JSON'),
    ],
)
def test_errors_name_file_and_place(tmp_path, content, message):
    file = tmp_path / 'broken.json'
    file.write_text(content)
    with pytest.raises(LabelFileError, match=message) as raised:
        load_frames(file)
    assert str(file) in str(raised.value)


def test_nothing_to_read(tmp_path):
    with pytest.raises(LabelFileError, match='no such file'):
        load_frames(tmp_path / 'none.json')
    with pytest.raises(LabelFileError, match='holds no .json'):
        load_frames(tmp_path)


def test_categories():
    assert [map_category(name) for name in DET_CLASSES] == [(name, False) for name in DET_CLASSES]
    assert map_category('motor') == ('motorcycle', False)
    assert map_category('trailer') == ('truck', True)
    with pytest.raises(KeyError):
        map_category('lane/road curb')


def test_duplicate_names(tmp_path):
    file = tmp_path / 'labels.json'
    file.write_text('[{"name": "a"}, {"name": "b"}, {"name": "a"}, {"name": "a"}]')
    assert duplicate_names(load_frames(file)) == ['a']
