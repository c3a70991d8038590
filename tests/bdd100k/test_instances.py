"""Data sets of instance and panoptic segmentation and of the drivable area, and what they say of what does not fit."""

import json

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from mmdet.registry import DATASETS
from mmdet.registry import TRANSFORMS as DET_TRANSFORMS
from mmseg.registry import DATASETS as SEG_DATASETS
from PIL import Image
from pycocotools import mask as coco_mask

import mmroad.bdd100k.sem_seg  # noqa: F401
import mmroad.bdd100k.transforms  # noqa: F401
from mmroad.bdd100k import instances
from mmroad.bdd100k.bitmasks import CROWD, IGNORED, bitmask
from mmroad.bdd100k.eval import ins_seg, pan_seg
from mmroad.bdd100k.polygons import polygon_rle
from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.files.png import write_png

SIZE = (48, 80)
SEGMENT = np.zeros(SIZE, int)
SEGMENT[5:20, 10:30], SEGMENT[15:30, 25:60], SEGMENT[40:, :], SEGMENT[:4] = 1, 2, 3, 4
#: As pedestrian, car, bus (crowd), truck (ignored); as person, car, road, sky.
INSTANCES = bitmask(SEGMENT, [1, 3, 5, 4], [1, 2, 3, 4], np.array([0, 0, CROWD, IGNORED]))
PANOPTIC = bitmask(SEGMENT, [31, 35, 7, 30], [31, 32, 7, 30], np.array([0, CROWD, 0, 0]))


@pytest.fixture
def root(tmp_path):
    for i in range(2):
        (tmp_path / 'images').mkdir(exist_ok=True)
        Image.new('RGB', SIZE[::-1], (90, 90, 90)).save(tmp_path / f'images/{i}.jpg')
        for task, pixels in (('ins', INSTANCES), ('pan', PANOPTIC)):
            write_png(tmp_path / task / f'{i}.png', np.zeros_like(pixels) if i else pixels)
    return tmp_path


def dataset(root, kind='BDD100KInsSegDataset', folder='ins', load=None, **kwargs):
    prefix = dict(img='images', **(dict(bitmask=folder) if folder else {}))
    pipeline = [dict(type='mmdet.LoadImageFromFile'), dict(type='mmdet.LoadInstances', **(load or {}))]
    return DATASETS.build(
        dict(type=kind, data_root=str(root), data_prefix=prefix, pipeline=pipeline) | kwargs
    )


def test_instances_of_bitmasks(root):
    data = dataset(root)
    assert len(data) == 2 and data.metainfo['classes'] == ins_seg.CLASSES
    sample = data[0]
    assert sample['gt_bboxes_labels'].tolist() == [0, 2, 4, 3] and sample['gt_ignore_flags'].tolist() == [
        0,
        0,
        1,
        1,
    ]
    assert sample['gt_bboxes'].tensor.tolist()[:2] == [[10, 5, 30, 20], [25, 15, 60, 30]]
    assert (sample['gt_masks'].masks == np.stack([SEGMENT == i for i in (1, 2, 3, 4)])).all()
    assert len(data[1]['gt_bboxes']) == 0
    some = dataset(root, metainfo=dict(classes=('car', 'pedestrian')))[0]
    assert some['gt_bboxes_labels'].tolist() == [1, 0]
    for _ in range(4):  # an image without anything to learn from is replaced
        assert dataset(root, load=dict(drop_empty=True))[1]['img_path'].endswith('0.jpg')


def test_panoptic_segments_of_bitmasks(root):
    sample = dataset(root, 'BDD100KPanSegDataset', 'pan')[0]
    assert sample['gt_bboxes_labels'].tolist() == [0, 4] and sample['gt_ignore_flags'].tolist() == [0, 1]
    names = pan_seg.THINGS + pan_seg.STUFF
    want = np.full(SIZE, 255)
    for i, name in enumerate(('person', 'car', 'road', 'sky'), 1):
        want[SEGMENT == i] = names.index(name)
    assert (sample['gt_seg_map'] == want).all()
    packed = DET_TRANSFORMS.build(dict(type='FastPackDetInputs'))(sample)['data_samples']
    assert packed.gt_sem_seg.sem_seg.shape == (1, *SIZE) and len(packed.ignored_instances) == 1


def frames_of(form):
    labels = []
    for i, (name, attributes) in enumerate(
        (('person', {}), ('van', {}), ('bus', dict(crowd=True)), ('trailer', {})), 1
    ):
        label = dict(id=str(i), category=name, attributes=attributes)
        if form == 'poly2d':
            rows, columns = (np.flatnonzero((SEGMENT == i).any(axis)) for axis in (1, 0))
            (y1, y2), (x1, x2) = ((k[0], k[-1] + 1) for k in (rows, columns))
            corners = [[int(x), int(y)] for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
            label['poly2d'] = [dict(vertices=corners, types='LLLL', closed=True)]
        else:
            code = coco_mask.encode(np.asfortranarray(SEGMENT == i, np.uint8))
            label['rle'] = dict(counts=code['counts'].decode(), size=list(code['size']))
        labels.append(label)
    return [dict(name='0.jpg', labels=labels), dict(name='1.jpg', labels=[])]


@pytest.mark.parametrize('form', ['rle', 'poly2d'])
def test_codes_and_polygons_are_what_the_bitmasks_are(root, form):
    (root / 'labels.json').write_text(json.dumps(frames_of(form)))
    data = dataset(root, ann_file='labels.json')
    sample, want = data[0], dataset(root)[0]
    assert sample['gt_bboxes_labels'].tolist() == [0, 2, 4, 3] and sample['gt_ignore_flags'].tolist() == [
        0,
        0,
        1,
        1,
    ]
    shown = np.ones(SIZE, bool)
    shown[15:20, 25:30] = form == 'rle'  # polygons overlap, a pixel of a bitmask is one instance's
    assert (
        sample['gt_masks'].masks.astype(bool) & shown == want['gt_masks'].masks.astype(bool) & shown
    ).all()
    assert len(data[1]['gt_bboxes']) == 0
    if form == 'poly2d':
        with pytest.raises(LabelFileError, match=r"frame '0.jpg': labels\[0\] has a poly2d and no rle"):
            dataset(root, ann_file='labels.json', test_mode=True)


def test_polygons_are_what_matplotlib_paints_but_for_their_border():
    """The toolkit paints so: lines, curves of two control points and an end, the first vertex again."""
    vertices = [[10, 8], [60, 4], [75, 10], [70, 30], [50, 40], [20, 44]]
    codes = dict(L=Outline.LINETO, C=Outline.CURVE4)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for types in ('LLLLLL', 'LLCCCL', 'LCCCLL', 'LLLCCC', 'LLLLCC'):
        mine = coco_mask.decode(polygon_rle([dict(vertices=vertices, types=types, closed=True)], *SIZE)) > 0
        path = Outline(
            [*vertices, vertices[0]],
            [Outline.MOVETO, *map(codes.get, types[1:]), codes[types[-1] if types.endswith('LCC') else 'L']],
        )
        theirs = path.contains_points(np.stack([x + 0.5, y + 0.5], -1).reshape(-1, 2)).reshape(SIZE)
        assert (theirs ^ mine).sum() < 0.03 * theirs.sum() and theirs.sum() > 900, types


@pytest.mark.parametrize(
    'poly, words',
    [
        (None, 'expected a list of polygons'),
        ([dict(vertices=[[0, 0], [9, 9]], types='LL')], '2 vertices'),
        ([dict(vertices=[[0, 0], [9, 9], [0, 9]], types='LLX')], "types 'LLX'"),
        ([dict(vertices=[[0, 0], [9, 9], [0, 9]], types='LLL', closed=False)], 'closed False'),
        ([dict(vertices=[[0, 0], [9, 9], [0, 9]], types='LLC')], 'lacks control points'),
    ],
)
def test_what_is_no_polygon_is_named(poly, words):
    with pytest.raises(ValueError, match=words):
        polygon_rle(poly, *SIZE)


def test_what_is_missing_is_named(root):
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder .*data_root'):
        dataset(root, folder='nowhere')
    Image.new('RGB', SIZE[::-1]).save(root / 'images/2.jpg')
    with pytest.raises(FileNotFoundError, match=r'ins/2.png: no such bitmask \(1 of 3'):
        dataset(root)
    (root / 'labels.json').write_text(json.dumps([dict(name='9.jpg', labels=[])]))
    with pytest.raises(FileNotFoundError, match=r'9.jpg: no such image \(1 of 1'):
        dataset(root, ann_file='labels.json')
    with pytest.raises(ValueError, match=r"no classes \['tram'\]"):
        (root / 'images/2.jpg').unlink()
        dataset(root, metainfo=dict(classes=('tram',)))
    with pytest.raises(LabelFileError, match='no labels: set data_prefix.bitmask or ann_file'):
        dataset(root, folder=None)[0]
    write_png(root / 'ins/0.png', INSTANCES[:20])
    with pytest.raises(LabelFileError, match=r'0.png: masks of \(20, 80\); its image has \(48, 80\)'):
        dataset(root)[0]


def test_bitmasks_without_an_image_are_told(root, monkeypatch):
    said = []
    monkeypatch.setattr(instances, 'print_log', lambda message, *args: said.append(message))
    dataset(root)
    assert not said
    write_png(root / 'ins/7.png', INSTANCES)
    dataset(root)
    assert len(said) == 1 and 'ins: 1 bitmasks are of no image in' in said[0]


def test_drivable_masks_and_those_of_2018(root):
    def build():
        prefix = dict(img_path='images', seg_map_path='masks')
        pipeline = [dict(type='mmseg.LoadImageFromFile'), dict(type='mmseg.LoadLabelMap', num_classes=3)]
        return SEG_DATASETS.build(
            dict(type='BDD100KDrivableDataset', data_root=str(root), data_prefix=prefix, pipeline=pipeline)
        )

    with pytest.raises(
        FileNotFoundError, match='masks: no such folder .*"Drivable Area" of .*labels/drivable'
    ):
        build()
    (root / 'masks').mkdir()
    Image.fromarray(np.full(SIZE, 2, np.uint8)).save(root / 'masks/0.png')
    with pytest.raises(FileNotFoundError, match=r'masks/1.png: no such mask \(1 of 2'):
        build()
    Image.fromarray(np.full(SIZE, 1, np.uint8)).save(root / 'masks/1_train_id.png')
    assert [np.unique(build()[i]['gt_seg_map']).tolist() for i in range(2)] == [[2], [1]]
    Image.fromarray(np.full(SIZE, 3, np.uint8)).save(root / 'masks/0.png')
    with pytest.raises(ValueError, match='0.png: values 3 '):
        build()[0]
