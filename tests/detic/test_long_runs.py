"""Tools that take hours: what they read is checked before, nothing is replaced, an interrupted run goes on rightly."""

import json
import os
import re
import tarfile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmroad.commands import main
from mmroad.detic.captions import Tagger, embed_captions, tag_cc3m
from mmroad.detic.drawn_shapes import write_shapes
from mmroad.detic.make_vocabulary import make_vocabulary
from mmroad.detic.parts import keep_sources, parts_of, resumable, state_of
from mmroad.detic.prepare_data import image_size, imagenet_21k, with_categories
from mmroad.detic.synsets import read_wordnet
from mmroad.detic.tar import TarImages, build_index
from mmroad.detic.text_encoder import from_names

LVIS = [dict(id=1, name='dog', synset='dog.n.01', synonyms=['dog', '(all in brackets)'], frequency='f')]


def progress(steps, _=''):
    return steps


def tool(path, *args):
    """Run a tool's main; what it exits with (None: nothing)."""
    try:
        main([*path.split(), *map(str, args)])
    except SystemExit as end:
        return end.code
    return None


def tar_of(path, *contents):
    with tarfile.open(path, 'w') as tar:
        for number, content in enumerate(contents):
            (path.parent / 'member').write_bytes(content)
            tar.add(path.parent / 'member', f'{number}.jpg')
    (path.parent / 'member').unlink(missing_ok=True)
    return path


def test_steps_of_other_inputs_are_made_anew(tmp_path):
    made = []

    def make(step):
        made.append(step)
        if step == 'c' and len(made) == 3:
            raise KeyboardInterrupt
        return dict(rows=np.full(2, len(made))) if step == 'b' else [step, len(made)]

    def run(inputs):
        found = dict(resumable(['a', 'b', 'c'], tmp_path / 'parts', make, progress, 'steps', inputs))
        return found['a'], found['b']['rows'].tolist(), found['c']

    with pytest.raises(KeyboardInterrupt):
        run(1)
    assert run(1) == (['a', 1], [2, 2], ['c', 4]) and made == ['a', 'b', 'c', 'c']
    assert run(1) == (['a', 1], [2, 2], ['c', 4]) and len(made) == 4
    assert run(2) == (['a', 5], [6, 6], ['c', 7])
    (tmp_path / 'parts/.inputs.json').unlink()  # of an older version: nobody knows what they are of
    assert run(2)[0] == ['a', 8]


def test_a_tar_index_is_of_the_files_that_are_there(tmp_path, monkeypatch):
    a, b = tar_of(tmp_path / 'a.tar', b'one', b'three'), tar_of(tmp_path / 'b.tar', b'fivefive')
    real = np.savez
    monkeypatch.setattr('mmroad.detic.tar.write_arrays', lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # killed before the index is written
        build_index([a, b], tmp_path / 'index.npz')
    assert parts_of(tmp_path / 'index.npz').is_dir()
    monkeypatch.undo()
    tar_of(a, b'other!', b'x')  # made again meanwhile
    assert build_index([a, b], tmp_path / 'index.npz') == 3 and np.savez is real
    images = TarImages(tmp_path / 'index.npz')
    assert [images.read(i) for i in range(3)] == [b'other!', b'x', b'fivefive']
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.tar', 'b.tar', 'index.npz']
    b.write_bytes(b.read_bytes()[:515])
    with pytest.raises(
        ValueError, match='b.tar: ends inside member 2: it has changed since .*index.npz was made'
    ):
        TarImages(tmp_path / 'index.npz').read(2)
    with pytest.raises(ValueError, match='a.tar: member 0: not an image that can be read'):
        images.image(0)
    a.unlink()
    with pytest.raises(FileNotFoundError, match='a.tar not found, which .*index.npz has indexed'):
        TarImages(tmp_path / 'index.npz').read(0)


def test_an_index_never_replaces_a_tar(tmp_path, monkeypatch):
    a, b = tar_of(tmp_path / 'a.tar', b'one'), tar_of(tmp_path / 'b.tar', b'two')
    whole = a.read_bytes()
    said = tool('data tar-index', a, b)  # the output was forgotten
    assert 'a.tar: the output is a .npz file' in said and a.read_bytes() == whole
    for tars, words in (
        ([a, b, a], 'tar files given more than once: .*a.tar'),
        ([tmp_path / 'cut.tar'], 'cut.tar: not a readable uncompressed tar file'),
        ([tmp_path / 'empty.tar'], 'empty.tar: not a readable uncompressed tar file'),
    ):
        (tmp_path / 'cut.tar').write_bytes(whole[:700])
        (tmp_path / 'empty.tar').write_bytes(b'')
        with pytest.raises(ValueError, match=words):
            build_index(tars, tmp_path / 'index.npz')
    with pytest.raises(FileNotFoundError, match='not found: .*none.tar'):
        build_index([a, tmp_path / 'none.tar'], tmp_path / 'index.npz')


@pytest.mark.parametrize('content', [b'', b'junk', b'PK\x03\x04', 'other', 'short', 'outside'])
def test_files_that_are_no_index_are_named(tmp_path, content):
    path = tmp_path / 'index.npz'
    columns = dict(paths=['a.tar'], tar=[0, 0], offset=[0, 9], size=[1, 1], name=['a', 'b'])
    arrays = dict(
        other=dict(weights=np.ones(3)), short=columns | dict(size=[1]), outside=columns | dict(tar=[0, 1])
    )
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **arrays[content])
    with pytest.raises(
        ValueError, match='index.npz: not an index of tar files: expected .*paths, tar, .*found'
    ) as error:
        TarImages(path)
    assert content != 'other' or 'found weights' in str(error.value)


def test_classes_of_tars_are_one_a_file(tmp_path):
    (tmp_path / 'x').mkdir()
    tars = [tar_of(tmp_path / 'n02084071.tar', b'a'), tar_of(tmp_path / 'x/n02084071.tar', b'b')]
    build_index(tars, tmp_path / 'index.npz')
    with pytest.raises(ValueError, match='index.npz: several tar files of n02084071'):
        imagenet_21k(
            tmp_path / 'index.npz', LVIS, dict(n02084071=('dog.n.01', ['dog'])), tmp_path / 'p', progress
        )


def test_sizes_are_those_of_the_image_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.jpg', exif=exif)
    assert image_size(tmp_path / 'a.jpg') == cv2.imread(str(tmp_path / 'a.jpg')).shape[1::-1] == (20, 30)
    for junk in (
        b'',
        b'\xff\xd8\xff',
        b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR',
        b'II*\x00\xff\xff\xff\xff',
        b'BM' + b'\xff' * 60,
    ):
        (tmp_path / 'b.jpg').write_bytes(junk)
        assert image_size(tmp_path / 'b.jpg') is None


def test_unreadable_images_are_listed_and_the_tool_fails(tmp_path, monkeypatch, capsys):
    (tmp_path / 'cc.tsv').write_text('a dog\tu\n' * 3)
    (tmp_path / 'lvis.json').write_text(json.dumps(dict(images=[], annotations=[], categories=LVIS)))
    (tmp_path / 'in').mkdir()
    Image.new('RGB', (3, 2)).save(tmp_path / 'in/1.jpg')
    (tmp_path / 'in/2.jpg').write_text('damaged')
    command = ['data detic', 'cc3m', tmp_path / 'cc.tsv', tmp_path / 'in']
    said = tool(*command, tmp_path / 'lvis.json', tmp_path / 'out.json')
    assert said == 'left out, not to be read: 1 images\n  2.jpg'
    assert 'out.json: 1 images, 0 boxes; left out, not to be read: 2 images' in capsys.readouterr().out
    assert json.loads((tmp_path / 'out.json').read_text())['images'][0]['file_name'] == '1.jpg'
    (tmp_path / 'in/2.jpg').unlink()  # an address that is dead is no failure
    assert tool(*command, tmp_path / 'lvis.json', tmp_path / 'out.json') is None


def test_a_tool_never_replaces_its_source(tmp_path, monkeypatch):
    source = tmp_path / 'lvis.json'
    source.write_text(json.dumps(dict(images=[], annotations=[], categories=LVIS)))
    whole = source.read_bytes()
    os.symlink(source, tmp_path / 'link.json')
    for out in (source, tmp_path / 'link.json'):
        said = tool('data detic', 'lvis-base', source, out)
        assert 'would replace the source' in said and source.read_bytes() == whole
    said = tool('data detic', 'lvis-base', source, tmp_path / 'out.txt')
    assert 'out.txt: the output is a .json file' in said
    np.save(tmp_path / 'w.npy', np.ones((2, 512)))
    said = tool('vocabulary', tmp_path / 'w.npy', 'a', '--source', f'{tmp_path}/w.npy:a,b')
    assert 'w.npy: the output is a .safetensors file' in said and np.load(tmp_path / 'w.npy').shape == (
        2,
        512,
    )
    keep_sources(tmp_path / 'new.json', '.json', source)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            dict(annotations=[dict(image_id=1, category_id=1, bbox=[0, 0, 1, 1])]),
            r'annotations\[0\]: image_id 1 is not',
        ),
        (dict(categories=[dict(id=1)]), r'lvis.json: categories\[0\] has no frequency'),
        (dict(categories=None), 'lvis.json has no categories: it is not the file'),
        (dict(images=['a']), r'lvis.json: images\[0\] has no id'),
    ],
)
def test_fields_that_a_command_needs_are_named(tmp_path, monkeypatch, changes, words):
    found = dict(images=[], annotations=[], categories=LVIS) | changes
    (tmp_path / 'lvis.json').write_text(json.dumps(found))
    said = tool(
        'data detic',
        'lvis-base',
        tmp_path / 'lvis.json',
        tmp_path / 'o.json',
    )
    assert said.startswith('mmroad data detic: ') and re.search(words, said), said
    assert not (tmp_path / 'o.json').exists()
    (tmp_path / 'lvis.json').write_text('[]')
    said = tool(
        'data detic',
        'lvis-base',
        tmp_path / 'lvis.json',
        tmp_path / 'o.json',
    )
    assert 'lvis.json is a list, not an object of images' in said


def test_other_categories_have_those_of_the_annotations():
    own = dict(images=[], annotations=[dict(category_id=5)], categories=[])
    with pytest.raises(ValueError, match=r'a.json has annotations of category_id \[5\], which b.json lacks'):
        with_categories(own, [dict(id=4)], 'a.json', 'b.json')
    assert with_categories(own, [dict(id=5)], 'a.json', 'b.json')['categories'] == [dict(id=5)]


def test_tables_of_captions_are_checked(tmp_path):
    def tags(content):
        (tmp_path / 'cc.tsv').write_bytes(content)
        Image.new('RGB', (3, 2)).save(tmp_path / '2.jpg')
        return tag_cc3m(tmp_path / 'cc.tsv', tmp_path, LVIS, tmp_path / 'parts', progress)

    images = tags('\ufeffa hill\tu\r\na DOG \u2028 here\tu\r\n'.encode())[0]['images']
    assert [(i['id'], i['captions']) for i in images] == [(2, ['a DOG \u2028 here'])]
    with pytest.raises(ValueError, match='cc.tsv: line 2 has no tab'):
        tags(b'a dog\tu\na dog, u\n')
    with pytest.raises(ValueError, match=r'cc.tsv: not text in UTF-8'):
        tags(b'a dog\tu\n\xff\xfe\tu\n')
    # an interrupted run of another table: its parts are not taken over
    inputs = [state_of(tmp_path / 'cc.tsv', tmp_path), 'other']
    list(
        resumable(
            ['0'], tmp_path / 'parts', lambda _: dict(images=[], absent=9, unread=[]), progress, '', inputs
        )
    )
    assert len(tags(b'a hill\tu\na dog\tu\n')[0]['images']) == 1
    with pytest.raises(FileNotFoundError, match='folder of images .*none not found'):
        tag_cc3m(tmp_path / 'cc.tsv', tmp_path / 'none', LVIS, tmp_path / 'parts', progress)
    assert Tagger([dict(id=1, synonyms=['(x)'])])('a dog (x)') == []


def test_embeddings_of_captions_are_those_of_this_file(tmp_path):
    def encode(texts):
        calls.append(list(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return torch.tensor([[float(len(t)), 1] for t in texts])

    calls, out = [], tmp_path / 'rows.npy'
    images = [dict(id=2, captions=['four', 'fives']), dict(id=3), dict(id=1, captions=['a'])]
    with pytest.raises(KeyboardInterrupt):
        embed_captions(dict(images=images), out, encode, progress, chunk=2)
    images[2]['captions'] = ['bb']  # of the same number
    assert embed_captions(dict(images=images), out, encode, progress, chunk=2) == 3
    assert np.load(out)[:, 0].tolist() == [2, 4, 5] and calls[-2:] == [['bb', 'four'], ['fives']]
    assert [p.name for p in tmp_path.iterdir()] == ['rows.npy']
    for wrong in (lambda t: torch.ones(len(t) + 1, 2), lambda t: torch.full((len(t), 2), torch.nan)):
        with pytest.raises(ValueError, match='the text encoder gave'):
            embed_captions(dict(images=images), tmp_path / 'b.npy', wrong, progress)
    assert not (tmp_path / 'b.npy').exists()
    with pytest.raises(ValueError, match='b.txt: the output is a .npy file'):
        embed_captions(dict(images=images), tmp_path / 'b.txt', encode, progress)
    with pytest.raises(ValueError, match='no image has captions'):
        embed_captions(dict(images=[dict(id=1)]), tmp_path / 'b.npy', encode, progress)


def test_wordnet_files_of_another_form_are_named(tmp_path):
    lines = {'index.noun': 'dog n 1 1 @ 1 0 02084071\n', 'data.noun': '02084071 05 n 01 dog 0 000 | a dog\n'}
    for name, line, words in (
        ('index.noun', 'dog n x\n', 'index.noun: line 2: not as in WordNet 3.0'),
        ('data.noun', '02084072 05 n 01 cat 0 000 |\n', "data.noun: line 2: .*KeyError: 'cat'"),
        ('data.noun', '02084072\n', 'data.noun: line 2: .*IndexError'),
        ('data.noun', b'\xff\n', 'data.noun: not as in WordNet 3.0 .UnicodeDecodeError'),
    ):
        for file, text in lines.items():
            (tmp_path / file).write_text(text)
        assert read_wordnet(tmp_path) == dict(n02084071=('dog.n.01', ['dog']))
        with open(tmp_path / name, 'ab') as file:
            file.write(line if isinstance(line, bytes) else line.encode())
        with pytest.raises(ValueError, match=words):
            read_wordnet(tmp_path)


def test_prompts_and_encoders_are_checked():
    def encode(texts):
        return torch.tensor([[float(len(t))] * 512 for t in texts])

    assert from_names(['ant', 'a_{x}'], encode, 'my {}!').embeddings[:, 0].tolist() == [7, 9]
    for prompt in ('a photo', '{} and {}', '{name}'):
        with pytest.raises(ValueError, match='must hold {} once'):
            from_names(['ant'], encode, prompt)
    for wrong in (lambda t: encode(t)[:-1], lambda t: encode(t) * torch.nan, lambda t: encode(t)[0]):
        with pytest.raises(ValueError, match='the text encoder gave'):
            from_names(['ant', 'bee'], wrong)


def test_checkpoints_without_a_vocabulary_say_what_they_hold(tmp_path):
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.ones(1)}), tmp_path / 'a.pth')
    with pytest.raises(
        ValueError, match='a.pth: .*expected the key roi_head.*zs_weight, found backbone.conv1.weight'
    ):
        make_vocabulary('a', [str(tmp_path / 'a.pth')])
    state = {'roi_head.bbox_head.0.fc_cls.zs_weight': torch.eye(512)[:, :2]}
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=dict(classes='coco'))), tmp_path / 'a.pth')
    assert make_vocabulary('*', [str(tmp_path / 'a.pth')])[0].names == ('coco',)  # a class, not a data set


def test_drawn_shapes_replace_their_own_files_alone(tmp_path, monkeypatch):
    write_shapes(tmp_path, 2, 2, 2)
    first = (tmp_path / 'val.json').read_bytes()
    write_shapes(tmp_path, 2, 2, 2)
    assert (tmp_path / 'val.json').read_bytes() == first and not list(tmp_path.rglob('.*'))
    other = json.dumps(dict(images=[], categories=[dict(id=1, name='car')]))
    (tmp_path / 'val.json').write_text(other)
    said = tool('data drawn-shapes', tmp_path, '--train', 3)
    assert 'val.json is of another data set' in said and (tmp_path / 'val.json').read_text() == other
    assert len(list((tmp_path / 'train').iterdir())) == 2
    assert 'each part needs an image' in tool('data drawn-shapes', tmp_path, '--val', 0)
