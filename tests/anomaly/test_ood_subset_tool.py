"""Subsets of COCO and OpenImages: what the tool refuses, and what it never replaces."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmroad.commands import main


def coco(**changes):
    return dict(
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(3)],
        categories=[dict(id=1, name='person'), dict(id=2, name='dog')],
        annotations=[dict(id=5, image_id=0, category_id=1), dict(id=6, image_id=1, category_id=2)],
    ) | {k: v for k, v in changes.items()}


@pytest.fixture
def tool():
    def run(kind, annotations, output, *options):
        main(['data', 'ood-subset', kind, str(annotations), str(output), *map(str, options)])
        return json.loads(Path(output).read_text())

    return run


def test_a_subset_is_written(tool, tmp_path, capsys):
    (tmp_path / 'gt.json').write_text('\ufeff' + json.dumps(coco()), encoding='utf-8')
    subset = tool('coco', tmp_path / 'gt.json', tmp_path / 'new/ood.json', '--known', 'person')
    assert [image['id'] for image in subset['images']] == [1] and [
        a['id'] for a in subset['annotations']
    ] == [6]
    assert '1 images, 1 annotations' in capsys.readouterr().out


def test_the_source_stays(tool, tmp_path):
    file = tmp_path / 'gt.json'
    file.write_text(json.dumps(coco()))
    (tmp_path / 'link.json').symlink_to(file)
    for output in (file, tmp_path / 'link.json'):
        with pytest.raises(SystemExit, match='would replace .*source'):
            tool('coco', file, output, '--known', 'person')
    assert json.loads(file.read_text()) == coco()


@pytest.mark.parametrize(
    'content, message',
    [
        (coco(annotations=[dict(id=5, image_id=9, category_id=2)]), 'annotation 5 is of image 9'),
        (coco(annotations=[dict(image_id='1', category_id=2)]), "annotation number 1 is of image '1'"),
        (coco(annotations=[dict(id=5, image_id=1, category_id=3)]), 'annotation 5 is of category 3'),
        (coco(annotations=[dict(id=5, category_id=2)]), "another form .KeyError: 'image_id'"),
        (coco(annotations=None), 'no list of annotations'),
        (dict(frames=[]), 'no list of images and of annotations and of categories'),
        ([], 'not a COCO file'),
        ('junk', 'gt.json: not JSON'),
    ],
)
def test_other_files_are_named(tool, tmp_path, content, message):
    (tmp_path / 'gt.json').write_text(content if content == 'junk' else json.dumps(content))
    with pytest.raises(SystemExit, match='gt.json: .*' * (content != 'junk') + message):
        tool('coco', tmp_path / 'gt.json', tmp_path / 'ood.json', '--known', 'person')
    assert not (tmp_path / 'ood.json').exists()


HEAD = 'ImageID,LabelName,XMin,XMax,YMin,YMax'


@pytest.mark.parametrize(
    'boxes, classes, message',
    [
        ('ImageID,Label\na,/m/2\n', '/m/1,Car\n/m/2,Dog\n', 'has no column LabelName, XMax'),
        (
            f'{HEAD}\na,/m/7,0,1,0,1\n',
            '/m/1,Car\n/m/2,Dog\n',
            'a has a box of /m/7, which .*classes.csv does not',
        ),
        (f'{HEAD}\na,/m/2,0,1,0,1\n', 'Car\nDog\n', r"classes.csv: \['Car'\] in place of"),
        (f'{HEAD}\na,/m/2,0,x,0,1\n', '/m/1,Car\n/m/2,Dog\n', "could not convert string to float: 'x'"),
    ],
)
def test_other_tables_are_named(tool, tmp_path, boxes, classes, message):
    Image.new('RGB', (100, 50)).save(tmp_path / 'a.jpg')
    (tmp_path / 'boxes.csv').write_text(boxes)
    (tmp_path / 'classes.csv').write_text(classes)
    options = ['--known', 'Car', '--images', tmp_path, '--classes', tmp_path / 'classes.csv']
    with pytest.raises(SystemExit, match='boxes.csv: .*' + message):
        tool('openimages', tmp_path / 'boxes.csv', tmp_path / 'ood.json', *options)
    (tmp_path / 'boxes.csv').write_text(f'{HEAD}\na,/m/2,0,1,0,1\ngone,/m/2,0,1,0,1\n')
    (tmp_path / 'classes.csv').write_text('/m/1,Car\n/m/2,Dog\n')
    with pytest.warns(UserWarning, match='1 of 2 annotated images are not in .* such as gone.jpg'):
        subset = tool('openimages', tmp_path / 'boxes.csv', tmp_path / 'ood.json', *options)
    assert [image['file_name'] for image in subset['images']] == ['a.jpg']
    (tmp_path / 'tree.json').write_text('{"Subcategory": []}')
    with pytest.raises(SystemExit, match='tree.json: not the hierarchy of OpenImages .*LabelName'):
        tool(
            'openimages',
            tmp_path / 'boxes.csv',
            tmp_path / 'o.json',
            *options,
            '--hierarchy',
            tmp_path / 'tree.json',
        )
