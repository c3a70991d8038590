"""Annotation files made from small published-like ones."""

import argparse
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmroad.commands.data import detic
from mmroad.detic.captions import Tagger, embed_captions, tag_cc3m, tag_coco, with_lvis_synonyms
from mmroad.detic.parts import remove_parts
from mmroad.detic.prepare_data import class_counts, imagenet_21k, imagenet_lvis, merge_lvis_coco, without_rare
from mmroad.detic.synsets import COCO_SYNSETS, read_wordnet
from mmroad.detic.tar import build_index

ROOT = Path(__file__).parents[2]
LVIS = [
    dict(id=1, name='dog', synset='dog.n.01', synonyms=['dog', 'domestic_dog'], frequency='f'),
    dict(id=2, name='cat', synset='cat.n.01', synonyms=['cat'], frequency='c'),
    dict(id=3, name='bow-tie', synset='bow_tie.n.01', synonyms=['bow-tie', 'bow_tie_(wear)'], frequency='r'),
]
SYNSETS = {
    'n02084071': ('dog.n.01', ['dog', 'domestic_dog']),
    'n02883205': ('bow_tie.n.01', ['bow_tie', 'bowtie']),
    'n03891332': ('parking_meter.n.01', ['parking_meter']),
}


def progress(steps, _=''):
    return steps


def image(path, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))


def test_lvis_base_has_no_boxes_of_rare_classes():
    boxes = [dict(id=i, image_id=1, category_id=c) for i, c in enumerate((1, 3, 2, 3), 1)]
    base = without_rare(dict(images=[dict(id=1)], categories=LVIS, annotations=boxes))
    assert [a['category_id'] for a in base['annotations']] == [1, 2] and len(base['categories']) == 3
    counts = class_counts(base)
    assert [(c['image_count'], c['instance_count']) for c in counts] == [(1, 1), (1, 1), (0, 0)]


def test_lvis_coco_merge_drops_repeats_and_what_lvis_says_is_absent():
    url = 'http://images.cocodataset.org/train2017/{:012}.jpg'
    lvis = dict(
        categories=LVIS,
        images=[
            dict(id=7, coco_url=url.format(7), neg_category_ids=[]),
            dict(id=8, coco_url=url.format(8), neg_category_ids=[2]),
        ],
        annotations=[
            dict(id=1, image_id=7, category_id=1, bbox=[0, 0, 10, 10]),
            dict(id=2, image_id=8, category_id=1, bbox=[0, 0, 10, 10]),
        ],
    )
    boxes = [
        (70, 18, [0, 0, 10, 9]),  # the same dog
        (70, 18, [0, 0, 10, 6]),  # another one: IoU 0.6
        (70, 17, [0, 0, 10, 10]),  # a cat over the dog stays
        (80, 17, [0, 0, 5, 5]),  # LVIS says: no cat
        (70, 3, [0, 0, 5, 5]),  # a car is none of these classes
        (90, 18, [0, 0, 5, 5]),  # not among LVIS's images
    ]
    coco = dict(
        images=[dict(id=i, file_name=f'{i // 10:012}.jpg') for i in (70, 80, 90)],
        annotations=[
            dict(id=100 + n, image_id=i, category_id=c, bbox=b) for n, (i, c, b) in enumerate(boxes)
        ],
    )
    merged = merge_lvis_coco(lvis, coco)['annotations']
    assert [(a['image_id'], a['category_id'], a['bbox'][3]) for a in merged] == [
        (7, 1, 10), (7, 1, 6), (7, 2, 10), (8, 1, 10),
    ]  # fmt: skip
    assert [a['id'] for a in merged] == [1, 2, 3, 4] and len(COCO_SYNSETS) == 80


def test_wordnet_names_synsets_as_lvis_does(tmp_path):
    (tmp_path / 'data.noun').write_text(
        '  1 This software ...\n'
        '02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 000 | a member of the genus Canis\n'
        '10114209 18 n 01 dog 1 000 | someone morally reprehensible\n'
    )
    (tmp_path / 'index.noun').write_text(
        '  1 This software ...\n'
        'dog n 2 2 @ ~ 2 1 02084071 10114209\n'
        'domestic_dog n 1 1 @ 1 0 02084071\ncanis_familiaris n 1 1 @ 1 0 02084071\n'
    )
    synsets = read_wordnet(tmp_path)
    assert synsets['n02084071'] == ('dog.n.01', ['dog', 'domestic_dog', 'Canis_familiaris'])
    assert synsets['n10114209'][0] == 'dog.n.02'
    with pytest.raises(FileNotFoundError, match='dict folder of WordNet'):
        read_wordnet(tmp_path / 'none')


def test_imagenet_lvis_resumes_and_names_unreadable_images(tmp_path):
    for wnid in SYNSETS:
        image(tmp_path / f'in/{wnid}/a.JPEG')
    (tmp_path / 'in/n02084071/b.JPEG').write_text('not an image')
    (tmp_path / 'in/n02084071/._a.JPEG').write_text('of macOS')
    parts = tmp_path / 'parts'
    content, unread = imagenet_lvis(tmp_path / 'in', LVIS, SYNSETS, parts, progress)
    assert [(i['file_name'], i['pos_category_ids'], i['width'], i['height']) for i in content['images']] == [
        ('n02084071/a.JPEG', [1], 30, 20), ('n02883205/a.JPEG', [3], 30, 20),
    ]  # fmt: skip
    assert unread == ['n02084071/b.JPEG']
    assert [c['image_count'] for c in content['categories']] == [1, 0, 1]
    image(tmp_path / 'in/n02084071/c.JPEG')  # a class that is done is not read again
    assert imagenet_lvis(tmp_path / 'in', LVIS, SYNSETS, parts, progress)[0] == content
    remove_parts(parts)
    assert len(imagenet_lvis(tmp_path / 'in', LVIS, SYNSETS, parts, progress)[0]['images']) == 3
    with pytest.raises(ValueError, match='no folder is named by a synset'):
        imagenet_lvis(tmp_path / 'in/n02084071', LVIS, SYNSETS, parts, progress)


def test_imagenet_21k_maps_tars_by_synset_then_name_then_adds_classes(tmp_path):
    for wnid in SYNSETS:
        image(tmp_path / 'x.jpg', (12, 34))
        (tmp_path / 'y.jpg').write_text('damaged')
        with tarfile.open(tmp_path / f'{wnid}.tar', 'w') as tar:
            tar.add(tmp_path / 'x.jpg', 'x.jpg')
            if wnid == 'n02084071':
                tar.add(tmp_path / 'y.jpg', 'y.jpg')
    build_index([tmp_path / f'{w}.tar' for w in SYNSETS], tmp_path / 'index.npz')
    lvis = [*LVIS[:2], dict(LVIS[2], synset='other.n.01', name='bow_tie')]
    content, unread = imagenet_21k(tmp_path / 'index.npz', lvis, SYNSETS, tmp_path / 'parts', progress)
    assert [(i['tar_index'], i['pos_category_ids'], i['width']) for i in content['images']] == [
        (0, [1], 34), (2, [3], 34), (3, [4], 34),
    ]  # fmt: skip
    assert content['categories'][3] == dict(
        id=4, name='parking_meter', synset='parking_meter.n.01', synonyms=['parking_meter']
    )
    assert unread == ['n02084071.tar, member 1']


def test_tags_are_synonyms_between_blanks():
    tagger = Tagger(LVIS)
    assert tagger('A Domestic Dog in a bow tie') == [1, 3]
    assert tagger('hotdog and dogs, dog.') == [] and tagger('cat') == [2]


def test_coco_captions_become_tags(tmp_path):
    captions = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=4, height=4) for i in (1, 2)],
        annotations=[dict(image_id=i, caption=c) for i, c in ((1, 'a dog'), (1, 'and a cat'), (2, 'grass'))],
    )
    coco = with_lvis_synonyms([dict(id=17, name='cat'), dict(id=18, name='dog')], LVIS)
    content = tag_coco(captions, coco, progress)
    assert [(i['id'], i['pos_category_ids'], i['captions']) for i in content['images']] == [
        (1, [17, 18], ['a dog', 'and a cat'])
    ]
    with pytest.raises(ValueError, match='without a synset among the LVIS classes: pizza'):
        with_lvis_synonyms([dict(id=59, name='pizza')], LVIS)

    calls = []

    def encode(texts):
        calls.append(texts)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return torch.full((len(texts), 8), float(len(texts[0])))

    out = tmp_path / 'captions.npy'
    with pytest.raises(KeyboardInterrupt):
        embed_captions(content, out, encode, progress, chunk=1)
    assert embed_captions(content, out, encode, progress, chunk=1) == 2  # goes on with the second
    assert calls == [['a dog'], ['and a cat'], ['and a cat']]
    assert np.load(out)[:, 0].tolist() == [5, 9]
    assert sorted(p.name for p in tmp_path.iterdir()) == ['captions.npy']


def test_cc3m_table_becomes_tags_of_the_images_that_are_there(tmp_path):
    (tmp_path / 'cc.tsv').write_text('the dog of the day\tu1\na cat\tu2\na hill\tu3\n')
    image(tmp_path / 'in/1.jpg')
    image(tmp_path / 'in/3.jpg')
    content, absent, unread = tag_cc3m(
        tmp_path / 'cc.tsv', tmp_path / 'in', LVIS, tmp_path / 'parts', progress
    )
    assert (absent, unread) == (1, [])
    assert content['images'] == [
        dict(
            id=1,
            file_name='1.jpg',
            width=30,
            height=20,
            captions=['the dog of the day'],
            pos_category_ids=[1],
        )
    ]


def test_the_tool_writes_files_and_names_what_is_wrong(tmp_path):
    def run(*args):
        parser = argparse.ArgumentParser()
        detic.add_arguments(parser)
        return detic.make(parser.parse_args(list(map(str, args))))

    boxes = [dict(id=1, image_id=1, category_id=3)]
    (tmp_path / 'lvis.json').write_text(
        json.dumps(dict(images=[dict(id=1)], categories=LVIS, annotations=boxes))
    )
    assert run('lvis-base', tmp_path / 'lvis.json', tmp_path / 'base.json').endswith('1 images, 0 boxes')
    (tmp_path / 'cc.tsv').write_text('a dog\tu1\na cat\tu2\n')
    image(tmp_path / 'in/1.jpg')
    said = run('cc3m', tmp_path / 'cc.tsv', tmp_path / 'in', tmp_path / 'lvis.json', tmp_path / 'cc.json')
    assert said.endswith('1 images, 0 boxes; left out, not to be read: 1 images')
    assert sorted(p.name for p in tmp_path.glob('*c*')) == ['cc.json', 'cc.tsv']
    assert not list(tmp_path.glob('.*'))
    with pytest.raises(ValueError, match='x.json has no images, categories, annotations: it is not the file'):
        run('lvis-base', _write(tmp_path / 'x.json', '{}'), tmp_path / 'y.json')
    with pytest.raises(ValueError, match='x.json'):
        run('lvis-base', _write(tmp_path / 'x.json', '{'), tmp_path / 'y.json')


def _write(path, text):
    path.write_text(text)
    return path
