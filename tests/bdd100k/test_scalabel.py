"""Reading Scalabel files: every layout, and errors that name the place."""

import json

import pytest

from mmroad.bdd100k.scalabel import (
    DET_CLASSES,
    LabelFileError,
    duplicate_names,
    is_true,
    json_files,
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


def test_of_a_folder_its_own_shown_json_files_are_read(tmp_path):
    copies = tmp_path / 'old'
    copies.mkdir()
    (tmp_path / '.ipynb_checkpoints').mkdir()
    (tmp_path / 'folder.json').mkdir()
    for name in ('b.json', 'a.json', '._a.json', '.ipynb_checkpoints/a.json', 'notes.txt', 'c.JSON'):
        (tmp_path / name).write_text(json.dumps([{'name': name}]) if name[0] != '.' else 'junk')
    assert json_files(tmp_path / 'b.json') == [tmp_path / 'b.json']
    assert json_files(tmp_path) == [tmp_path / 'a.json', tmp_path / 'b.json']
    (copies / 'a.json').write_text('[]')
    with pytest.warns(UserWarning, match='1 subfolders hold .json files too.*old'):
        assert [frame.name for frame in load_frames(tmp_path)] == ['a.json', 'b.json']


def test_of_a_folder_that_the_tools_wrote_the_predictions_are_read(tmp_path):
    for name in ('det.json', 'det.coco.json', 'scores.json'):
        (tmp_path / name).write_text('[]')
    assert json_files(tmp_path) == [tmp_path / 'det.json']
    (tmp_path / 'det.coco.json').unlink()
    assert json_files(tmp_path) == [tmp_path / 'det.json', tmp_path / 'scores.json']


def test_a_folder_without_label_files_says_what_it_holds(tmp_path):
    (tmp_path / 'det.json.gz').write_bytes(b'')
    with pytest.raises(LabelFileError, match='holds no .json file; unpack det.json.gz there'):
        json_files(tmp_path)
    (tmp_path / 'val').mkdir()
    (tmp_path / 'val/a.json').write_text('[]')
    with pytest.raises(LabelFileError, match='holds no .json file; give .*val, which holds some'):
        json_files(tmp_path)


@pytest.mark.parametrize(
    'value', [True, 1, 2, -1, 1.0, '1', '2', '1.0', 'true', 'True', 'YES', 'y', 't', 'On']
)
def test_what_is_true(value):
    assert is_true(value) is True


@pytest.mark.parametrize(
    'value', [False, None, 0, 0.0, '', '0', '0.0', 'false', 'FALSE', 'No', 'n', 'F', 'off']
)
def test_what_is_false(value):
    assert is_true(value) is False


@pytest.mark.parametrize(
    'value', ['maybe', 'none', ' false ', 'nan', 'inf', 0.5, '0.5', float('nan'), [], {}, [True]]
)
def test_what_is_no_truth_value(value):
    with pytest.raises(ValueError, match='no truth value: write true or false'):
        is_true(value)


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


@pytest.mark.parametrize(
    'value', [True, 0, 2, 0.0, 'false', 'FALSE', 'off', '0', '0.0', '2', '', 'Yes', 't', 1.0]
)
def test_truth_is_that_of_the_official_reader(value):
    typing = pytest.importorskip('scalabel.label.typing')
    utils = pytest.importorskip('scalabel.label.utils')
    assert is_true(value) is utils.check_crowd(typing.Label(id='0', attributes=dict(crowd=value)))
