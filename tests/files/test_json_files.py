"""JSON files as people have them: coded otherwise, packed, cut, pages and pointers under their names."""

import gzip

import pytest

from mmroad.files.json_files import kind_of_file, read_json


def test_json_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / 'a.json'
    for content in (b'{"a": [1, "\xc3\xa9"]}', b'\xef\xbb\xbf {"a": [1, "\xc3\xa9"]}\n'):
        path.write_bytes(content)
        assert read_json(path) == dict(a=[1, 'é']) and kind_of_file(content.strip()) is None


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'the file is empty'),
        (b' \r\n', 'the file is empty'),
        ('[1]'.encode('utf-16'), 'it is text in UTF-16'),
        ('[1]'.encode('utf-16-be'), 'it is text in UTF-16'),
        ('[1]'.encode('utf-32'), 'it is text in UTF-32'),
        (b'["caf\xe9"]', 'another coding than UTF-8'),
        (gzip.compress(b'[]', mtime=0), 'packed with gzip'),
        (b'PK\x03\x04', 'a zip archive'),
        (b'<!DOCTYPE html>', 'a web page or XML'),
        (b'version https://git-lfs.github.com/spec/v1', 'git lfs pull'),
        (b'[1, 2', 'truncated'),
        (b'[NaN]', 'malformed'),
        (b'[' * 100_000, 'recursion'),
    ],
)
def test_what_is_no_json_is_named(tmp_path, content, message):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'(?i)a.json: not a list of numbers: .*{message}'):
        read_json(path, what='a list of numbers')


def test_another_form_and_no_file(tmp_path):
    (tmp_path / 'a.json').write_text('[1, "b"]')
    with pytest.raises(ValueError, match=r'a.json: not JSON: Expected `int`, got `str` - at `\$\[1\]`'):
        read_json(tmp_path / 'a.json', list[int])
    with pytest.raises(FileNotFoundError, match='b.json: no such file'):
        read_json(tmp_path / 'b.json')
