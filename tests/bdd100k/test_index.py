import json
import os
from pathlib import Path

import numpy as np
import pytest

from mmroad.bdd100k import index as index_module
from mmroad.bdd100k.columns import read_columns
from mmroad.bdd100k.index import Names, indexed_columns
from mmroad.bdd100k.scalabel import LabelFileError


def write(path, n, x1=1.0):
    box = dict(x1=x1, y1=2.0, x2=30.5, y2=40.0)
    frames = [
        dict(
            name=f'ä{i}.jpg',
            attributes=dict(weather='clear'),
            labels=[dict(id='1', category='car', box2d=box)] * i,
        )
        for i in range(n)
    ]
    path.write_text(json.dumps(frames))
    return path


@pytest.fixture
def reads(monkeypatch):
    """Counts how often a label file is really read."""
    calls = []

    def counted(path, **kwargs):
        calls.append(path)
        return read_columns(path, **kwargs)

    monkeypatch.setattr(index_module, 'read_columns', counted)
    return calls


def test_second_time_comes_from_the_cache_and_is_equal(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 5)
    want, first, second = read_columns(path), indexed_columns(path), indexed_columns(path)
    assert len(reads) == 1 and (tmp_path / '.gt.json.index').is_file()
    for got in (first, second):
        assert list(got.names) == want.names and list(got.videos) == want.videos
        assert got.names[-1] == 'ä4.jpg' and got.attribute_values == want.attribute_values
        for key in ('frame', 'category', 'xyxy', 'score', 'ignored', 'crowd', 'has_labels'):
            np.testing.assert_array_equal(getattr(got, key), getattr(want, key))
        assert not got.xyxy.flags.writeable  # mapped, so shared
        assert got.place(4) == str(path) and got.repeated() == ''


def test_a_changed_file_is_read_again_even_with_its_old_time(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 3)
    indexed_columns(path)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    write(path, 3, x1=9.0)
    os.utime(path, ns=times)
    assert indexed_columns(path).xyxy[0, 0] == 9 and len(reads) == 2


def test_a_touched_file_is_recognized_by_its_content(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 3)
    indexed_columns(path)
    os.utime(path)
    indexed_columns(path)
    indexed_columns(path)
    assert len(reads) == 1


def test_a_file_that_changes_while_it_is_indexed_is_an_error_and_leaves_no_cache(tmp_path, monkeypatch):
    path = write(tmp_path / 'gt.json', 3)
    digest = index_module._digest

    def changed(files):
        write(path, 4)
        return digest(files)

    monkeypatch.setattr(index_module, '_digest', changed)
    with pytest.raises(LabelFileError, match='changed while it was read'):
        indexed_columns(path)
    assert os.listdir(tmp_path) == ['gt.json']


def test_a_damaged_cache_is_made_again(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 3)
    indexed_columns(path)
    cache = tmp_path / '.gt.json.index'
    cache.write_bytes(cache.read_bytes()[:200])
    assert len(indexed_columns(path)) == 3 and len(reads) == 2


def test_a_folder_that_cannot_be_written_uses_the_cache_folder(tmp_path, monkeypatch, reads):
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path / 'home'))
    path = write(tmp_path / 'gt.json', 3)
    monkeypatch.setattr(
        index_module, '_places', lambda *_: [tmp_path / 'gt.json/x', tmp_path / 'home/gt.index']
    )
    indexed_columns(path)
    indexed_columns(path)
    assert len(reads) == 1


def test_without_a_place_for_the_cache_the_labels_are_read_every_time(tmp_path, monkeypatch, reads):
    path = write(tmp_path / 'gt.json', 3)
    monkeypatch.setattr(index_module, '_places', lambda *_: [path / 'x', path / 'y/z'])
    assert len(indexed_columns(path)) == len(indexed_columns(path)) == 3 and len(reads) == 2
    assert os.listdir(tmp_path) == ['gt.json']


def test_a_cache_with_one_flipped_bit_is_made_again(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 3)
    want, cache = indexed_columns(path), tmp_path / '.gt.json.index'
    content = cache.read_bytes()
    places = [0, 15, 29, 40, *range(60, len(content), len(content) // 40), len(content) - 1]
    for k, place in enumerate(places):
        damaged = bytearray(content)
        damaged[place] ^= 1 << k % 8
        cache.write_bytes(damaged)
        got = indexed_columns(path)
        assert list(got.names) == list(want.names)
        np.testing.assert_array_equal(got.xyxy, want.xyxy)
        assert cache.read_bytes() == content
    assert len(reads) == 1 + len(places)


@pytest.mark.parametrize('content', [b'', b'mmroad-index', b'mmroad-index' + b'\xff' * 60, b'junk' * 100])
def test_a_file_that_is_no_cache_is_replaced(tmp_path, reads, content):
    path = write(tmp_path / 'gt.json', 3)
    (tmp_path / '.gt.json.index').write_bytes(content)
    assert len(indexed_columns(path)) == 3 and len(indexed_columns(path)) == 3 and len(reads) == 1


def test_files_of_a_folder_are_kept(tmp_path, reads, monkeypatch):
    (tmp_path / 'labels').mkdir()
    for name in 'ab':
        write(tmp_path / f'labels/{name}.json', 2)
    (tmp_path / 'labels/.ipynb_checkpoints').mkdir()
    write(tmp_path / 'labels/.ipynb_checkpoints/a.json', 2)
    (tmp_path / 'labels/._a.json').write_bytes(b'\0\5\x16\7')
    monkeypatch.chdir(tmp_path / 'labels')
    for source in (tmp_path / 'labels', tmp_path / 'labels', '.'):
        got = indexed_columns(source)
        assert [os.path.basename(got.place(row)) for row in range(4)] == [
            'a.json',
            'a.json',
            'b.json',
            'b.json',
        ]
        assert got.repeated().startswith("2 names are carried by several frames; the first is 'ä0.jpg', in ")
    assert len(reads) == 1 and (tmp_path / '.labels.index').is_file()


def test_folder_of_files_and_empty_ground(tmp_path, reads):
    (tmp_path / 'labels').mkdir()
    write(tmp_path / 'labels/a.json', 2)
    assert len(indexed_columns(tmp_path / 'labels').names) == 2
    write(tmp_path / 'labels/b.json', 1)
    assert len(indexed_columns(tmp_path / 'labels').names) == 3
    empty = tmp_path / 'empty.json'
    empty.write_text('[]')
    assert len(indexed_columns(empty)) == len(indexed_columns(empty).names) == 0
    with pytest.raises(LabelFileError, match='no such file'):
        indexed_columns(tmp_path / 'none.json')
    (tmp_path / 'labels/none').mkdir()
    with pytest.raises(LabelFileError, match='holds no .json file'):
        indexed_columns(tmp_path / 'labels/none')


def test_names_keep_what_is_missing():
    want = ['a', None, '', '\0', 'b']
    names = Names.of(want)
    assert list(names) == want == [names[i] for i in range(5)] and names[-1] == 'b'


def test_where_caches_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path / 'home'))
    first, second = index_module._places(Path('labels/gt.json'))
    assert first == tmp_path / 'labels/.gt.json.index'
    assert second.parent == tmp_path / 'home/index' and second.name.startswith('gt-')
    assert index_module._places(Path('other/gt.json'))[1] != second  # a name of its own for each path
    assert index_module._places(tmp_path / 'labels/gt.json')[1] == second
    monkeypatch.delenv('MMROAD_HOME')
    assert index_module._places(Path('a'))[1].parent == Path.home() / '.cache/mmroad/index'


def test_labels_without_boxes_are_still_counted_from_the_cache(tmp_path, reads):
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps([dict(name='a.jpg', labels=[dict(category='car'), dict(category='lane')])]))
    assert [indexed_columns(path).unboxed for _ in range(2)] == [2, 2] and len(reads) == 1


def test_a_file_of_the_same_size_with_other_content_is_read(tmp_path, reads):
    path = write(tmp_path / 'gt.json', 3)
    indexed_columns(path)
    write(path, 3, x1=7.0)
    assert indexed_columns(path).xyxy[0, 0] == 7 and len(reads) == 2
    steps = []
    write(path, 4)
    indexed_columns(path, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (path.stat().st_size,) * 2
