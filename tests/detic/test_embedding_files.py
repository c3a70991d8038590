"""Files of class embeddings and of class names: every kind is read, what is none is named."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmroad.detic.embedding_files import SUFFIXES
from mmroad.detic.vocabulary import Vocabulary, load_embeddings, load_vocabulary, read_names


def vocabulary(names):
    return Vocabulary(tuple(names), torch.randn(len(names), 512))


@pytest.mark.parametrize('suffix', ['.npy', '.npz', '.safetensors', '.pt', '.pth'])
def test_embeddings_are_read_from_every_kind_of_file(tmp_path, suffix):
    words = vocabulary(['ant', 'flip, flop'])
    array, path = words.embeddings.numpy(), tmp_path / f'w{suffix}'
    save = {
        '.npy': lambda arrays: np.save(path, next(iter(arrays.values()))),
        '.npz': lambda arrays: np.savez(path, **arrays),
        '.safetensors': lambda arrays: save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, path
        ),
        '.pt': lambda arrays: torch.save({k: torch.from_numpy(v.copy()) for k, v in arrays.items()}, path),
    }
    save = save['.pt' if suffix == '.pth' else suffix]
    for content in (dict(embeddings=array), dict(other=array.T), dict(x=array.astype(np.float16))):
        save(content)
        assert load_embeddings(path, 2).allclose(words.embeddings, atol=2e-3)
    if suffix == '.npy':
        return
    if suffix in ('.pt', '.pth'):  # the tensor alone
        torch.save(words.embeddings, path)
        assert load_embeddings(path, 2).equal(words.embeddings)
    save(dict(embeddings=array, counts=np.zeros(2)))  # beside others, by its key
    assert load_embeddings(path).equal(words.embeddings)
    save({'ant': array[0], 'flip, flop': array[1]})  # one vector a class
    assert load_vocabulary(path).names == words.names and load_embeddings(path).equal(words.embeddings)
    save(dict(a=array, b=array, c=np.zeros(3)))
    with pytest.raises(
        ValueError, match=rf"w\{suffix}: expected .* key 'embeddings'.*found a float32 \(2, 512\), b .*, c"
    ):
        load_embeddings(path)


def test_names_beside_embeddings(tmp_path):
    words = vocabulary(['ant', 'flip, flop'])
    np.savez(tmp_path / 'w.npz', embeddings=words.embeddings.numpy(), names=np.array(words.names))
    torch.save(dict(embeddings=words.embeddings, names=list(words.names)), tmp_path / 'w.pt')
    for name in ('w.npz', 'w.pt'):
        assert load_vocabulary(tmp_path / name).names == words.names
        assert load_vocabulary(tmp_path / name, ['flip, flop']).embeddings.equal(words.embeddings[1:])
    np.savez(tmp_path / 'x.npz', embeddings=words.embeddings.numpy(), names=np.array(['ant']))
    with pytest.raises(ValueError, match='x.npz: 1 names for 2 embeddings'):
        load_vocabulary(tmp_path / 'x.npz')
    with pytest.raises(ValueError, match='twice.npz: class names given more than once: ant'):
        np.savez(tmp_path / 'twice.npz', embeddings=words.embeddings.numpy(), names=np.array(['ant', 'Ant']))
        load_vocabulary(tmp_path / 'twice.npz')


@pytest.mark.parametrize('suffix', ['.npy', '.npz', '.safetensors', '.pt', '.h5', '.csv', ''])
@pytest.mark.parametrize(
    'content', [b'', b'junk', b'<html></html>', b'PK\x03\x04 cut', b'\x93NUMPY\x01\x00v\x00', b'\x00' * 64]
)
def test_files_that_are_no_embeddings_are_named(tmp_path, suffix, content):
    path = tmp_path / f'words{suffix}'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path}: ') as error:
        load_embeddings(path)
    assert 'it is empty' in str(error.value) if not content and suffix in SUFFIXES else True
    assert 'pickle' not in str(error.value)


def test_arrays_that_are_no_embeddings_are_named(tmp_path):
    path = tmp_path / 'words.npy'
    bad = np.ones((3, 512), np.float32)
    bad[1, 7] = np.nan
    for array, words in (
        (np.ones((3, 512), object), 'words.npy: not a .npy file'),
        (
            np.ones((3, 7)),
            r'words.npy: expected class embeddings of C x 512 .*found the array float64 \(3, 7\)',
        ),
        (np.ones((0, 512)), r'found the array float64 \(0, 512\)'),
        (np.ones(512), r'found the array float64 \(512,\)'),
        (np.full((3, 512), 'a'), 'found the array <U1'),
        (bad, 'words.npy: class embeddings with non-finite values, the first in row 1'),
    ):
        np.save(path, array)
        with pytest.raises(ValueError, match=words):
            load_embeddings(path)
    np.save(path, np.ones((3, 512)))
    with pytest.raises(ValueError, match='words.npy holds 3 classes, the model has 4'):
        load_embeddings(path, 4)
    with pytest.raises(FileNotFoundError, match='none.npy not found: place the file there'):
        load_embeddings(tmp_path / 'none.npy')


def test_files_of_names_are_checked(tmp_path):
    def names(name, content):
        (tmp_path / name).write_bytes(content)
        return read_names(tmp_path / name)

    assert names('a.txt', '\ufeffant\r\nflip, flop\r\n\r\n'.encode()) == ('ant', 'flip, flop')
    assert names('a.json', b'\xef\xbb\xbf["ant", "flip, flop"]') == ('ant', 'flip, flop')
    for name, content, words in (
        ('b.txt', b'ant\n\nbee\n', 'b.txt: empty class name'),
        ('b.txt', b'ant\nAnt\n', 'b.txt: class names given more than once: ant'),
        ('b.txt', b'', 'b.txt: empty class name|b.txt: .*no'),
        ('b.txt', b'\xff\xfea\x00', 'b.txt: not a text file in UTF-8'),
        ('b.json', b'{', 'b.json: not JSON'),
        ('b.json', b'\x1f\x8b', 'b.json: not JSON: it is packed with gzip'),
        ('b.json', b'{"images": []}', r"b.json: expected a list of names .*found the keys \['images'\]"),
        ('b.json', b'[]', 'b.json: expected a list of names'),
        ('b.json', b'3', 'b.json: expected a list of names'),
        ('b.json', b'[{"id": 1}]', 'b.json: expected a list of categories with "id" and "name"'),
        ('b.json', b'[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]', 'b.json: the ids of categories'),
        ('b.json', b'[{"id": 1, "name": null}]', 'b.json: class names are text, not None'),
    ):
        with pytest.raises(ValueError, match=words):
            names(name, content)


def test_names_may_be_a_file_whose_name_has_a_comma(tmp_path):
    words, path = vocabulary(['ant', 'flip, flop']), tmp_path / 'a, b.txt'
    np.save(tmp_path / 'w.npy', words.embeddings.numpy())
    np.savez(tmp_path / 'w.npz', embeddings=words.embeddings.numpy(), names=np.array(words.names))
    path.write_text('ant\nflip, flop\n')
    assert load_vocabulary(tmp_path / 'w.npy', str(path)).names == words.names
    assert load_vocabulary(tmp_path / 'w.npy', 'x, y').names == ('x', 'y')
    assert load_vocabulary(tmp_path / 'w.npz', 'ant').names == ('ant',)
    path.write_text('flip, flop\n')
    for names in (path, str(path), ['flip, flop']):
        assert load_vocabulary(tmp_path / 'w.npz', names).embeddings.equal(words.embeddings[1:])
    with pytest.raises(ValueError, match='w.npy holds 2 embeddings, but 1 names are given'):
        load_vocabulary(tmp_path / 'w.npy', path)
    with pytest.raises(ValueError, match='w.npy holds no class names'):
        load_vocabulary(tmp_path / 'w.npy')
