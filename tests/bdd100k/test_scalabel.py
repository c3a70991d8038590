"""Reading Scalabel files: every layout, and errors that name the place."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from mmroad.bdd100k import scalabel
from mmroad.bdd100k.categories import BDD100K, IGNORED
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.scalabel import (
    DET_CLASSES,
    LabelFileError,
    det_classes,
    duplicate_names,
    is_true,
    json_files,
    load_frames,
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


def test_truth_is_read_into_bool(tmp_path):
    labels = [dict(attributes=dict(crowd=c, ignored=i, other='no')) for c, i in (('false', 1), (0, 'YES'))]
    (tmp_path / 'gt.json').write_text(json.dumps([dict(name='a.jpg', labels=labels)]))
    found = [label.attributes for label in load_frames(tmp_path / 'gt.json')[0].labels]
    assert found == [dict(crowd=False, ignored=True, other='no')] * 2


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
    for name in ('b.json', 'a.json', '._a.json', '.ipynb_checkpoints/a.json', 'notes.txt', '.c.JSON'):
        (tmp_path / name).write_text(json.dumps([{'name': name}]) if name[0] != '.' else 'junk')
    assert json_files(tmp_path / 'b.json') == [tmp_path / 'b.json']
    assert json_files(tmp_path) == [tmp_path / 'a.json', tmp_path / 'b.json']
    (copies / 'a.json').write_text('[]')
    with pytest.warns(UserWarning, match=r'1 subfolders hold .json files too.*old$'):
        assert [frame.name for frame in load_frames(tmp_path)] == ['a.json', 'b.json']
    shutil.copytree(copies, tmp_path / 'older')
    with pytest.warns(UserWarning, match=r'2 subfolders hold .*; the first is .*old$'):
        json_files(tmp_path)


@pytest.mark.parametrize('name', ['c.JSON', 'c.json.gz', 'c.Json.Zip'])
def test_label_files_of_other_names_are_told(tmp_path, name):
    (tmp_path / 'a.json').write_text('[]')
    (tmp_path / name).write_bytes(b'')
    with pytest.warns(
        UserWarning, match=f'1 files are not named .json and are not read; the first is {name}'
    ):
        assert json_files(tmp_path) == [tmp_path / 'a.json']


def test_a_link_to_nowhere_is_not_passed_over(tmp_path):
    (tmp_path / 'a.json').write_text('[]')
    (tmp_path / 'b.json').symlink_to(tmp_path / 'gone.json')
    for read in (load_frames, read_columns):
        with pytest.raises(FileNotFoundError, match='b.json'):
            read(tmp_path)


def test_a_disk_that_fails_is_told_with_the_file(tmp_path, monkeypatch):
    def fails(path):
        raise OSError(5, 'Input/output error')

    (tmp_path / 'a.json').write_text('[]')
    monkeypatch.setattr(Path, 'read_bytes', fails)
    for read in (load_frames, read_columns):
        with pytest.raises(LabelFileError, match=r'a\.json: cannot be read: .*Input/output error'):
            read(tmp_path)


def test_of_a_folder_that_the_tools_wrote_the_predictions_are_read(tmp_path):
    for name in ('det.json', 'det.coco.json', 'scores.json'):
        (tmp_path / name).write_text('[]')
    assert json_files(tmp_path) == [tmp_path / 'det.json']
    (tmp_path / 'det.coco.json').unlink()
    assert json_files(tmp_path) == [tmp_path / 'det.json', tmp_path / 'scores.json']


def test_a_folder_without_label_files_says_what_it_holds(tmp_path):
    (tmp_path / 'det.json.gz').write_bytes(b'')
    with pytest.raises(LabelFileError, match='holds no .json file; rename or unpack det.json.gz there'):
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
        ('[{"name": "a.jpg"', 'not a Scalabel label file: [^;]*truncated$'),
        ('[{"name": "a.jpg", "x": NaN}]', 'NaN and Infinity are no numbers in JSON$'),
        ('[nil]', r"near '\[nil\]'$"),
        ('[{"name": "a.jpg", "x": nil}]', "frame 'a.jpg', near '[^']*'$"),
        ('{"images": [], "annotations": []}', 'annotations, images'),
        (
            '[{"name": "a"}, {"name": "b", "labels": [{}, {"attributes": {"crowd": "maybe"}}]}]',
            r"crowd is 'maybe', which is no truth .*\$\[1\]\.labels\[1\]` \(frame 'b'\)",
        ),
        ('hello', "not JSON: it starts with b'hello'"),
        ('', 'not JSON: the file is empty'),
        (' \n', 'not JSON: the file is empty'),
        ('<!DOCTYPE html>', 'it is a web page'),
        ('version https://git-lfs.github.com/spec/v1', 'it is a Git LFS pointer'),
        (gzip.compress(b'[]', mtime=0), r'packed with gzip: unpack it \(gunzip\)'),
        (b'PK\3\4', 'it is a zip archive'),
        ('[{"name": "a.jpg"}]'.encode('utf-16'), 'it is text in UTF-16: save it as UTF-8'),
        ('[{"name": "a.jpg"}]'.encode('utf-16-le'), 'it is text in UTF-16: save it as UTF-8'),
        ('[{"name": "a.jpg"}]'.encode('utf-16-be'), 'it is text in UTF-16: save it as UTF-8'),
        ('[{"name": "a.jpg"}]'.encode('utf-32'), 'it is text in UTF-32: save it as UTF-8'),
        (b'\0\5\x16\7\0\2', r"it starts with b'\\x00\\x05"),
        ('[{"name": "ä.jpg"}]'.encode('latin-1'), r"b'\\xe4.jpg' in it is no UTF-8"),
        ('{"name": "a.jpg"}\n{"name": "b.jpg"}', r'one below the other need \[ , \] around them'),
        ('[{"name": "a.jpg", "x": ' + '[' * 20000 + ']' * 20000 + '}]', 'RecursionError'),
        ('{"x": ' + '[' * 20000 + ']' * 20000 + ', "frames": []}', 'RecursionError'),
        ('[{"name": "a.jpg", "labels": [{"score": 1e999}]}]', 'out of range'),
    ],
)
def test_errors_name_file_and_place(tmp_path, content, message):
    file = tmp_path / 'broken.json'
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LabelFileError, match=message) as raised:
        load_frames(file)
    assert str(file) in str(raised.value)


def test_nothing_to_read(tmp_path):
    with pytest.raises(LabelFileError, match='no such file'):
        load_frames(tmp_path / 'none.json')
    with pytest.raises(LabelFileError, match='holds no .json'):
        load_frames(tmp_path)


def test_categories():
    codes = BDD100K.codes()
    assert [codes[name] for name in DET_CLASSES] == list(range(10))
    assert codes['motor'] == codes['motorcycle'] and codes['trailer'] == codes['truck'] + IGNORED
    assert 'lane/road curb' not in codes


def test_classes_by_their_names_of_today():
    assert det_classes('bike') == ('bicycle',) and det_classes(['train', 'person']) == ('train', 'pedestrian')
    assert det_classes(iter(DET_CLASSES)) == DET_CLASSES
    for classes, message in (
        (['motor', 'motorcycle'], 'one stands twice'),
        ([], 'there is none'),
        ('trailer', 'trailer'),
    ):
        with pytest.raises(ValueError, match=f'{message}.*pedestrian, rider, car'):
            det_classes(classes)


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


@pytest.mark.parametrize(
    'error', [MemoryError(), RecursionError('deep'), OSError(5, 'Input/output error'), OverflowError()]
)
def test_whatever_ends_a_reader_names_the_file(tmp_path, monkeypatch, error):
    def fails(*args):
        raise error

    monkeypatch.setattr(scalabel, 'decode_list', fails)
    (tmp_path / 'gt.json').write_text('[]')
    with pytest.raises(
        LabelFileError, match=rf'gt\.json: .*{error.args[-1] if error.args else type(error).__name__}'
    ):
        load_frames(tmp_path / 'gt.json')


def test_of_a_folder_the_official_readers_files_are_read(tmp_path):
    official = pytest.importorskip('scalabel.label.io')
    for folder in ('.', '.hidden', 'old', 'b.json.d'):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in ('b.json', 'a.json', '.a.json', 'C.json', 'a.JSON', 'a.json.bak', 'ä.json'):
            (tmp_path / folder / name).write_text(json.dumps([{'name': f'{folder}/{name}'}]))
    with pytest.warns(UserWarning, match='2 subfolders'):
        names = [frame.name for frame in load_frames(tmp_path)]
    assert names == [frame.name for frame in official.load(str(tmp_path), 1).frames]
    assert names == ['./C.json', './a.json', './b.json', './ä.json']
