"""Every format holds what it says it holds, and counts the rest."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.labels import FORMATS
from mmroad.labels.form import Box, Image, LabelSet
from mmroad.labels.formats import convert, read_sets, write
from mmroad.labels.images import place_images
from mmroad.labels.recognize import recognize

CORNERS = ('x1', 'y1', 'x2', 'y2')
SAMPLE = Path(__file__).parents[2] / '../shared/data/bdd100k_sample'


def near(box, other):
    return all(abs(getattr(box, key) - getattr(other, key)) < 1e-6 for key in CORNERS)


def rest(box):
    return msgspec.structs.replace(box, x1=0, y1=0, x2=0, y2=0)


def by_name(labels):
    return {image.name: image for image in labels.images}


@pytest.mark.parametrize('form', [form for form in FORMATS if form not in ('bdd', 'yolo')])
def test_a_round_trip_keeps_all(form, sets, folder, tmp_path):
    files, losses = write(sets, form, tmp_path)
    again = read_sets(tmp_path, images=folder)
    assert list(again) == ['train', 'val'] and all(file.exists() for file in files)
    assert [one.format for one in recognize(tmp_path)] == [form, form]
    for split, labels in sets.items():
        found = by_name(again[split])
        assert sorted(found) == sorted(image.name for image in labels.images)
        assert set(again[split].classes) <= set(labels.classes) and again[split].folder == folder
        for image in labels.images:
            other = found[image.name]
            if form in ('voc', 'labelme'):  # no place for a video, in VOC's none for attributes of images
                other.video, other.frame = image.video, image.frame
            if form == 'voc':
                other.attributes = image.attributes
            if form == 'labelstudio' and not image.boxes:
                other.width, other.height = image.width, image.height
            if form == 'coco':
                other.id = None
            if form == 'scalabel':  # every label has an id there
                ids = [box.id or str(i) for i, box in enumerate(image.boxes)]
                assert [box.id for box in other.boxes] == ids
                for box, mine in zip(other.boxes, image.boxes):
                    box.id = mine.id
            assert all(map(near, image.boxes, other.boxes))
            assert list(map(rest, other.boxes)) == list(map(rest, image.boxes))
            assert msgspec.structs.replace(other, boxes=[]) == msgspec.structs.replace(image, boxes=[])
    assert losses.boxes == 0
    assert losses.counts == {
        'voc': {'images lose their attributes': 1, 'images lose their video': 1},
        'labelme': {'images lose their video': 1},
    }.get(form, {})


def test_yolo_holds_boxes_and_counts_the_rest(sets, folder, tmp_path):
    _, losses = write(sets, 'yolo', tmp_path)
    assert losses.counts == {
        'images lose their attributes': 1,
        'images lose their video': 1,
        'boxes lose their attributes': 3,
        'boxes lose their ids': 2,
        'crowds and ignored regions are left out': 2,
    }
    assert losses.boxes == 2 and losses.first['boxes lose their ids'] == 'hall/one.png'
    count, missing = place_images(sets, 'yolo', tmp_path, 'link')
    assert (count, missing) == (4, []) and place_images(sets, 'yolo', tmp_path, 'link') == (4, [])
    again = read_sets(tmp_path)
    assert again['train'].classes == sets['train'].classes
    found = by_name(again['train'])
    assert [box.category for box in found['hall/one.png'].boxes] == ['forklift', 'traffic cone']
    assert near(found['hall/one.png'].boxes[0], sets['train'].images[0].boxes[0])
    assert near(found['hall/zwö.jpg'].boxes[0], sets['train'].images[1].boxes[1])
    assert (tmp_path / 'labels/val/four.txt').read_text() == ''


def test_a_yolo_box_whose_middle_is_beyond_the_image_is_cut(tmp_path):
    inside, cut, out = Box('a', -1, 0, 5, 9), Box('a', 3, 3, 40, 8), Box('a', 40, 40, 50, 50)
    labels = LabelSet([Image('1.png', [inside, cut, out], 20, 10)], ('a',), 'made')
    _, losses = write({'': labels}, 'yolo', tmp_path)
    lines = (tmp_path / 'labels/train/1.txt').read_text().split('\n')[:-1]
    assert [line.split()[1:] for line in lines] == [
        ['0.1', '0.45', '0.3', '0.9'],
        ['0.575', '0.55', '0.85', '0.5'],
    ]
    assert losses.counts['boxes whose middle or size is beyond the image are cut'] == 2
    assert losses.counts['boxes outside the image are left out'] == 1


def test_bdd_takes_other_names_and_counts_what_is_none_of_its_classes(sets, tmp_path):
    _, losses = write(sets, 'bdd', tmp_path)
    assert losses.counts == {
        "boxes of 'forklift', which BDD100K has not, are left out": 3,
        "boxes of 'traffic cone', which BDD100K has not, are left out": 1,
        "boxes of 'person' are named 'pedestrian'": 2,
    }
    again = read_sets(tmp_path)
    assert [box.category for _, box in again['train'].boxes()] == ['pedestrian'] * 2
    assert (tmp_path / 'labels/det_20/det_train.json').is_file()


def test_bdd_keeps_what_is_ignored_for_another_class(tmp_path):
    frames = [dict(name='a.jpg', labels=[dict(category='other vehicle', box2d=dict(x1=0, y1=0, x2=9, y2=9))])]
    (tmp_path / 'gt.json').write_text(json.dumps(frames))
    labels = read_sets(tmp_path / 'gt.json', 'bdd')
    (_, box), *_ = labels[''].boxes()
    assert (box.category, box.ignored) == ('car', True)
    write(labels, 'bdd', tmp_path / 'out')
    (label,) = json.loads((tmp_path / 'out/labels/det_20/det_train.json').read_text())[0]['labels']
    assert label['category'] == 'other vehicle' and 'attributes' not in label


def test_ids_of_a_coco_file_stay(tmp_path):
    images = [
        dict(id=31, file_name='b.jpg', width=9, height=9),
        dict(id=4, file_name='a.jpg', width=9, height=9),
    ]
    boxes = [
        dict(id=1, image_id=4, category_id=17, bbox=[1, 2, 3, 4], area=5, iscrowd=1, segmentation=[[1, 2, 3]])
    ]
    content = dict(
        images=images, annotations=boxes, categories=[dict(id=17, name='cone'), dict(id=2, name='x')]
    )
    (tmp_path / 'in.json').write_text(json.dumps(content))
    _, files, losses = convert(tmp_path / 'in.json', tmp_path / 'out.json', 'coco')
    again = json.loads(files[0].read_text())
    assert [(i['id'], i['file_name']) for i in again['images']] == [(31, 'b.jpg'), (4, 'a.jpg')]
    (box,) = again['annotations']
    assert (box['image_id'], box['category_id'], box['bbox'], box['iscrowd']) == (4, 17, [1, 2, 3, 4], 1)
    assert losses.lines() == ['1 masks are left out, their boxes are kept (first in a.jpg)']


def test_predictions_keep_their_scores(tmp_path, folder):
    boxes = [Box('a', 1, 1, 5, 5, score=0.625), Box('b', 2, 2, 9, 8, score=0.25)]
    labels = LabelSet([Image('four.jpg', boxes, 32, 27)], ('a', 'b'), 'made', folder)
    for form in (form for form in FORMATS if form not in ('bdd',)):
        _, losses = write({'': labels}, form, tmp_path / form)
        assert not losses.counts
        place_images({'': labels}, form, tmp_path / form, 'copy' if form == 'yolo' else 'none')
        (again,) = read_sets(tmp_path / form, images=None if form == 'yolo' else folder).values()
        assert [box.score for _, box in again.boxes()] == [0.625, 0.25], form
    assert 'predictions' in json.loads((tmp_path / 'labelstudio/tasks.json').read_text())[0]


def test_polygons_of_yolo_become_boxes_and_other_shapes_are_counted(tmp_path, folder):
    (tmp_path / 'images').mkdir()
    shutil.copy(folder / 'four.jpg', tmp_path / 'images/4.jpg')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels/4.txt').write_text('1 0.25 0.1 0.5 0.1 0.5 0.9\n')
    (tmp_path / 'classes.txt').write_text('x\ny\n')
    (labels,) = read_sets(tmp_path).values()
    ((_, box),) = labels.boxes()
    assert box.category == 'y' and (box.x1, box.x2) == (8, 16) and labels.losses.boxes == 1
    shape = dict(label='a', points=[[1, 1], [4, 5]])
    shapes = [dict(shape, shape_type=kind) for kind in ('rectangle', 'line', 'polygon', 'circle')]
    content = dict(shapes=shapes, imagePath='four.jpg', imageWidth=32, imageHeight=27)
    (tmp_path / 'me.json').write_text(json.dumps(content))
    labels = read_sets(tmp_path / 'me.json')['']
    assert [(b.x1, b.y1, b.x2, b.y2) for _, b in labels.boxes()] == [
        (1, 1, 4, 5),
        (1, 1, 4, 5),
        (-4, -4, 6, 6),
    ]
    assert labels.losses.counts == {
        'shapes of type line are left out': 1,
        'polygons became the boxes around them': 1,
        'circles became the boxes around them': 1,
    }


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        (
            'a.xml',
            '<annotation><filename>a.jpg</filename><object><name>x</name></object></annotation>',
            'no <bndbox>',
        ),
        ('a.xml', '<annotations><image id="0"/></annotations>', 'has no name'),
        ('a.xml', '<annotation><filename>', 'not XML'),
        ('a.json', '[{"data": {"text": "x"}, "annotations": []}]', 'has no "image"'),
        (
            'a.json',
            '{"images": [], "annotations": [{"image_id": 3, "category_id": 1}], "categories": []}',
            'image_id 3',
        ),
        ('a.json', '[{"name": "a", "labels": [{"box2d": {"x1":0,"y1":0,"x2":1,"y2":1}}]}]', 'no category'),
        ('a.json', '[{"image_id": 1, "category_id": 1, "bbox": [0,0,1,1], "score": 1}]', "COCO's results"),
        ('a.json', '{"shapes": [{"label": 3}], "imagePath": "x"}', "not labelme's JSON"),
        ('data.yaml', 'names: x\n', 'has no "names"'),
        ('data.yaml', 'names: {1: a, 2: b}\n', 'numbered 0 to 1'),
        ('data.yaml', 'names: [a]\ntrain: none\n', 'none is not there'),
        ('a.txt', 'x', 'no labels found'),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelFileError, match=message) as caught:
        read_sets(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('0 0.5 0.5 0.1', '3 numbers'),
        ('2 0.5 0.5 0.1 0.1', 'class 2'),
        ('0 a b c d', 'no number'),
        ('0.5 1 1 1 1', '0.5'),
    ],
)
def test_lines_of_yolo_that_are_no_boxes_are_named(tmp_path, folder, line, message):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels').mkdir()
    shutil.copy(folder / 'four.jpg', tmp_path / 'images/a.jpg')
    (tmp_path / 'labels/a.txt').write_text(f'0 0.5 0.5 0.1 0.1\n{line}\n')
    (tmp_path / 'data.yaml').write_text('names: [a, b]\ntrain: images\n')
    with pytest.raises(LabelFileError, match=rf'labels/a\.txt: line 2: .*{message}'):
        read_sets(tmp_path)


def test_boxes_without_a_size_are_counted_and_images_without_one_are_named(tmp_path):
    labels = [dict(category='a', box2d=dict(x1=5, y1=0, x2=3, y2=9)), dict(category='a', box2d=[1, 1, 2, 2])]
    (tmp_path / 'a.json').write_text(
        json.dumps([dict(name='a.jpg', labels=[*labels, dict(category='lane')])])
    )
    sets = read_sets(tmp_path / 'a.json')
    assert len(sets[''].images[0].boxes) == 1 and sets[''].losses.boxes == 1
    assert sets[''].losses.counts['labels without a box (lanes, areas, masks) are left out'] == 1
    with pytest.raises(ValueError, match=r'the size of 1 images is not known, the first is a\.jpg'):
        write(sets, 'coco', tmp_path / 'out')
    write(sets, 'coco', tmp_path / 'out', size=(64, 48))
    assert json.loads((tmp_path / 'out/annotations/instances.json').read_text())['images'][0]['width'] == 64


def test_the_source_is_never_replaced(tmp_path):
    (tmp_path / 'labels.json').write_text('[{"name": "a.jpg", "labels": []}]')
    for target in (tmp_path, tmp_path / 'labels.json'):
        with pytest.raises(ValueError, match='source'):
            convert(tmp_path if target == tmp_path else tmp_path / 'labels.json', target, 'scalabel')
    with pytest.raises(ValueError, match='is a source'):
        convert(tmp_path / 'labels.json', tmp_path, 'scalabel')


def test_images_that_are_there_are_never_replaced_by_others(sets, tmp_path):
    place_images(sets, 'yolo', tmp_path, 'copy')
    assert (
        place_images(sets, 'yolo', tmp_path, 'copy')
        == (4, [])
        == place_images(sets, 'yolo', tmp_path, 'link')
    )
    (tmp_path / 'images/val/four.jpg').write_bytes(b'mine')
    with pytest.raises(ValueError, match=r'images/val/four\.jpg is there already and is another image'):
        place_images(sets, 'yolo', tmp_path, 'link')
    assert (tmp_path / 'images/val/four.jpg').read_bytes() == b'mine'


def test_several_sets_for_one_split_are_named(tmp_path):
    for name in ('train.json', 'train_2.json'):
        (tmp_path / name).write_text('[{"name": "a.jpg", "labels": []}]')
    with pytest.raises(
        LabelFileError, match=r'several sets of labels for train: .*train\.json .*train_2\.json'
    ):
        recognize(tmp_path)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='no ../shared')
@pytest.mark.parametrize('form', FORMATS)
def test_real_labels_go_through_every_format(form, tmp_path):
    sets, _, losses = convert(SAMPLE / 'gt.json', tmp_path, form, size=(1280, 720))
    boxes = sum(1 for _ in sets[''].boxes())
    assert boxes == 3241 and losses.boxes == (132 if form == 'yolo' else 0)
    if form != 'yolo':  # whose sizes are those of the images, which are not there
        found = by_name(*read_sets(tmp_path).values())
        for image in sets[''].images:
            assert all(map(near, image.boxes, found[image.name].boxes))
            assert len(image.boxes) == len(found[image.name].boxes)
