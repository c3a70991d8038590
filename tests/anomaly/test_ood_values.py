"""Values at the bounds of what tells known from unknown objects: boxes on masks, subsets of other data sets."""

import json

import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly.det_metric import OODDetectionMetric, on_unknown_objects
from mmroad.anomaly.meta_classification import dispersion, leave_one_out, segments
from mmroad.anomaly.ood_detection import Detections
from mmroad.anomaly.ood_subsets import coco_subset, descendants, openimages_subset


def found(*boxes):
    n = len(boxes)
    return Detections(np.full(n, 'x'), np.arange(n), np.array(boxes, float), np.ones(n), np.zeros(n))


def test_a_share_of_the_box_in_the_image_is_on_the_object(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 10:13] = 1
    mask[0, 0], mask[1, 1] = 255, 2  # no object
    Image.fromarray(mask).save(tmp_path / 'x.png')
    boxes = found(
        [10, 5, 20, 15],  # three tenths
        [10, 5, 21, 15],  # less
        [9.6, 4.6, 20.4, 15.4],  # corners are rounded
        [10, -10, 13, 15],  # ten of the fifteen rows that are in the image
        [0, 0, 2, 2],
        [-9, -9, -1, -1],  # outside
        [12, 14, 13, 15],  # its last pixel
        [13, 5, 30, 40],  # right of it
        [9, 4, 10, 5],  # above it on the left
    )
    assert on_unknown_objects(boxes, tmp_path / 'x.png', 0.3).label.tolist() == [0, 2, 3, 6]
    assert on_unknown_objects(boxes, tmp_path / 'x.png', 2 / 3).label.tolist() == [3, 6]
    assert on_unknown_objects(boxes, tmp_path / 'x.png', 0.67).label.tolist() == [6]
    assert on_unknown_objects(boxes, tmp_path / 'x.png', 0.3, (20, 30)).label.tolist() == [0, 2, 3, 6]
    with pytest.raises(ValueError, match='20 x 30'):
        on_unknown_objects(boxes, tmp_path / 'x.png', 0.3, (30, 20))
    assert OODDetectionMetric(dict(a='a')).min_share == 0.3


def test_dispersion_by_hand():
    even, sure, half = dispersion(np.array([[0.5, 1, 0.75], [0.5, 0, 0.25]])[:, None])[..., 0, :].T
    assert even.tolist() == pytest.approx([1, 1, 0.5]) and sure.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert half.tolist() == pytest.approx([0.811278, 0.5, 0.25], abs=1e-6)


def test_the_entropy_is_07_unless_another_is_given():
    probs = np.zeros((2, 1, 5))
    probs[1] = [[0, 0.18, 0, 0.2, 0]]  # entropies 0.680 and 0.722
    probs[0] = 1 - probs[1]
    assert len(segments(probs).features) == 1 and len(segments(probs, 0.68).features) == 2
    own = segments(probs, mask=np.array([[0, 0, 0, 1, 0]]))
    assert own.true.tolist() == [True] and own.label.tolist() == [[0, 0, 0, 1, 0]]
    assert segments(probs, mask=np.array([[1, 1, 1, 2, 1]])).true.tolist() == [False]


def test_images_without_names_are_counted():
    probs = np.full((2, 2, 2), 0.5)
    image = segments(probs, mask=np.ones((2, 2)))
    with pytest.raises(
        ValueError, match=r'image 0 cannot be judged: of 1 segments in the other 1 images, 1 are on'
    ):
        leave_one_out([image, image])


def content(**changes):
    return (
        dict(
            images=[dict(id=0), dict(id=7)],
            categories=[dict(id=3, name='car'), dict(id=5, name='dog')],
            annotations=[dict(id=1, image_id=7, category_id=5), dict(id=2, image_id=0, category_id=3)],
        )
        | changes
    )


def test_a_subset_has_images_annotations_and_all_categories():
    assert coco_subset(content(), ['car']) == dict(
        images=[dict(id=7)], annotations=[content()['annotations'][0]], categories=content()['categories']
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(images=None, annotations={}), 'no list of images and of annotations: a COCO file'),
        (dict(categories=[dict(id=5, name='dog')]), 'the file has no category car; it has dog'),
        (
            dict(annotations=[dict(id=9, image_id=1, category_id=5)]),
            'annotation 9 is of image 1, which the file',
        ),
        (
            dict(annotations=[dict(image_id=7, category_id=4)]),
            'annotation number 1 is of category 4, which the',
        ),
    ],
)
def test_what_is_no_coco_file_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        coco_subset(content(**changes), ['car'])


def test_classes_below_a_known_one_are_known_and_parts_are_not():
    tree = dict(
        LabelName='root',
        Subcategory=[
            dict(
                LabelName='vehicle',
                Subcategory=[dict(LabelName='car', Subcategory=[dict(LabelName='taxi')])],
                Part=[dict(LabelName='wheel', Subcategory=[dict(LabelName='tyre')])],
            ),
            dict(LabelName='animal', Subcategory=[dict(LabelName='dog')]),
        ],
    )
    assert descendants(tree, ['vehicle']) == {'vehicle', 'car', 'taxi'}
    assert descendants(tree, ['wheel', 'dog']) == {'wheel', 'tyre', 'dog'}
    assert descendants(tree, ['elsewhere']) == {'elsewhere'}


def write_openimages(folder, rows, classes=('LabelName,DisplayName', '/m/1,Car', '/m/2,Dog', '', '/m/3,Cat')):
    (folder / 'classes.csv').write_text('\n'.join(classes) + '\n')
    head = 'ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf'
    (folder / 'boxes.csv').write_text('\n'.join([head, *rows]) + '\n')
    return folder / 'boxes.csv', folder / 'classes.csv', folder


def test_a_subset_of_openimages_as_a_coco_file(tmp_path):
    for name, size in (('b', (100, 50)), ('a', (40, 20)), ('c', (10, 10))):
        Image.new('RGB', size).save(tmp_path / f'{name}.jpg')
    rows = ['b,/m/3,0.1,0.5,0.2,0.6,0', 'b,/m/2,0,1,0,1,1', 'a,/m/2,0.5,1,0.5,1,0', 'c,/m/1,0,1,0,1,0']
    files = write_openimages(
        tmp_path, [*rows, 'c,/m/2,0,1,0,1,0', 'gone,/m/2,0,1,0,1,0', 'far,/m/2,0,1,0,1,0']
    )
    with pytest.warns(UserWarning, match=r'2 of 5 annotated images are not in .* such as gone\.jpg'):
        subset = openimages_subset(*files, ['Car'])
    assert subset['images'] == [
        dict(id=1, file_name='a.jpg', width=40, height=20), dict(id=2, file_name='b.jpg', width=100, height=50)
    ]  # fmt: skip
    assert subset['categories'] == [dict(id=1, name='Car'), dict(id=2, name='Dog'), dict(id=3, name='Cat')]
    boxes = [
        (1, 1, 2, [20, 10, 20, 10], 200, 0),
        (2, 2, 3, [10, 10, 40, 20], 800, 0),
        (3, 2, 2, [0, 0, 100, 50], 5000, 1),
    ]
    for a, (number, image, category, box, area, group) in zip(subset['annotations'], boxes, strict=True):
        assert (a['id'], a['image_id'], a['category_id'], a['iscrowd']) == (number, image, category, group)
        assert a['bbox'] == pytest.approx(box) and a['area'] == pytest.approx(area)


@pytest.mark.parametrize(
    ('rows', 'classes', 'kind', 'message'),
    [
        (
            ['a,/m/9,0,1,0,1,0'],
            None,
            ValueError,
            r'a has a box of /m/9, which .*classes\.csv does not describe',
        ),
        (['a,/m/1,0,1,0,1,0'], None, FileNotFoundError, 'none of the 1 annotated images is here and unknown'),
        ([], ('/m/1,Car', 'short'), ValueError, r"\['short'\] in place of a label and a name"),
        ([], ('/m/2,Dog',), ValueError, 'has no class Car'),
    ],
)
def test_tables_that_do_not_fit_are_told(tmp_path, rows, classes, kind, message):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.jpg')
    files = write_openimages(tmp_path, rows, *([classes] if classes else []))
    with pytest.raises(kind, match=message):
        openimages_subset(*files, ['Car'])
    (tmp_path / 'boxes.csv').write_text('ImageID,LabelName,XMin,XMax,YMin\n')
    if classes is None:
        with pytest.raises(ValueError, match='boxes.csv has no column YMax'):
            openimages_subset(*files, ['Car'])
        (tmp_path / 'tree.json').write_text(json.dumps([1]))
        with pytest.raises(ValueError, match=r'tree\.json: not the hierarchy of OpenImages'):
            openimages_subset(*files, ['Car'], tmp_path / 'tree.json')
