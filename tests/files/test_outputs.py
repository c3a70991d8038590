"""Where results of a name are written."""

import os

import pytest

from mmroad.files import OutputNames


@pytest.mark.parametrize(
    ('name', 'suffix', 'place'),
    [
        ('a/b.jpg', None, 'a/b.jpg'),
        ('a/b.jpg', '.png', 'a/b.png'),
        ('a/b.JPG', '', 'a/b'),
        ('drive.0001', '.png', 'drive.0001.png'),
        ('/data/a.jpg', None, 'data/a.jpg'),
        ('../../a.jpg', None, 'a.jpg'),
        ('x/../../../a.jpg', None, 'x/a.jpg'),
        ('./a.jpg', None, 'a.jpg'),
        ('//a.jpg', None, 'a.jpg'),
    ],
)
def test_names_stay_below_the_folder(tmp_path, name, suffix, place):
    assert OutputNames(tmp_path).path(name, suffix) == tmp_path / place


@pytest.mark.parametrize('name', ['', '.', '..', '/', '../..'])
def test_a_name_of_no_file_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match='names no file'):
        OutputNames(tmp_path).path(name)


def test_two_names_of_one_place_are_named(tmp_path):
    names = OutputNames(tmp_path)
    assert names.path('a.jpg', '.png') == names.path('a.jpg', '.png')
    with pytest.raises(ValueError, match=r'a\.jpg and a\.png would both be written to .*a\.png'):
        names.path('a.png', '.png')
    with pytest.raises(ValueError, match=r'a\.jpg and \.\./a\.jpg would both'):
        names.path('../a.jpg', '.png')
    names.path('1.png', source='/x/1.png')
    with pytest.raises(ValueError, match=r'/x/1\.png and /y/1\.png'):
        names.path('1.png', source='/y/1.png')


def test_a_source_is_never_the_place(tmp_path):
    for name in ('a.jpg', 'b.jpg'):
        (tmp_path / name).write_text(name)
    os.link(tmp_path / 'b.jpg', tmp_path / 'c.jpg')
    (tmp_path / 'link').symlink_to(tmp_path)
    names = OutputNames(tmp_path / 'link', [tmp_path / 'a.jpg', tmp_path / 'b.jpg', tmp_path / 'gone.jpg'])
    for name in ('a.jpg', 'c.jpg'):
        with pytest.raises(ValueError, match=rf'{name} would replace its own source'):
            names.path(name)
    assert names.path('d.jpg').name == 'd.jpg'
    with pytest.raises(ValueError, match='would replace its own source'):
        OutputNames(tmp_path).path('a.jpg', source=tmp_path / 'a.jpg')
