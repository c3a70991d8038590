import contextlib
import io
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.datasets import AspectRatioBatchSampler, CocoDataset, MultiImageMixDataset
from mmdet.structures import DetDataSample
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, DefaultSampler, RepeatDataset
from mmseg.utils import cityscapes_classes, cityscapes_palette

from mmroad.bdd100k import dataset as dataset_module
from mmroad.bdd100k.dataset import BDD100KDetDataset
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError
from mmroad.files.images import ImageError
from mmroad.files.outputs import note_outputs

SAMPLE = Path(__file__).parents[2] / '../shared/data/bdd100k_sample'


def test_colors_are_those_of_cityscapes():
    colors = dict(zip(cityscapes_classes(), map(tuple, cityscapes_palette())))
    want = [colors['person' if name == 'pedestrian' else name] for name in DET_CLASSES]
    assert BDD100KDetDataset.METAINFO['palette'] == want


def label(category='car', x1=1.0, y1=2.0, x2=10.0, y2=20.0, **attributes):
    return dict(id='0', category=category, box2d=dict(x1=x1, y1=y1, x2=x2, y2=y2), attributes=attributes)


FRAMES = [
    dict(name='a.jpg', labels=[label(), label('person', crowd=True)], attributes=dict(timeofday='night')),
    dict(name='b.jpg', labels=None, attributes=dict(timeofday='daytime')),
    dict(name='c.jpg', labels=[label('other vehicle')], attributes=dict(timeofday='daytime')),
    dict(name='d.jpg', labels=[label('bus'), label('bike', x2=15.5)], attributes=dict(timeofday='night')),
]


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'images').mkdir()
    for i, name in enumerate('abcd'):
        cv2.imwrite(str(tmp_path / f'images/{name}.jpg'), np.full((24 + 8 * i, 32, 3), 40 * i, np.uint8))
    (tmp_path / 'gt.json').write_text(json.dumps(FRAMES))
    return tmp_path


def build(root, **kwargs):
    return BDD100KDetDataset(
        data_root=str(root), ann_file='gt.json', data_prefix=dict(img='images/'), **kwargs
    )


def test_boxes_follow_the_bdd100k_convention_and_ignored_ones_are_marked(root):
    data = build(root)
    first = data.get_data_info(0)
    assert first['img_path'] == str(root / 'images/a.jpg') and (first['width'], first['height']) == (32, 24)
    assert first['instances'] == [
        dict(bbox=[1, 2, 11, 21], bbox_label=DET_CLASSES.index('car'), ignore_flag=0),
        dict(bbox=[1, 2, 11, 21], bbox_label=DET_CLASSES.index('pedestrian'), ignore_flag=1),
    ]
    assert [i['bbox'][2] for i in data.get_data_info(3)['instances']] == [11, 16.5]
    assert data.get_data_info(2)['instances'][0]['ignore_flag'] == 1
    assert len(data) == 4 and data.get_cat_ids(3) == [4, 7] and data.get_data_info(-1)['sample_idx'] == 3


def test_options_drop_ignored_boxes_and_images_without_boxes(root, caplog):
    assert len(build(root, ignored='drop').get_data_info(0)['instances']) == 1
    dropped = build(root, filter_cfg=dict(filter_empty_gt=True))
    assert [dropped.get_data_info(i)['file_name'] for i in range(len(dropped))] == ['a.jpg', 'd.jpg']
    assert len(build(root, filter_cfg=dict(filter_empty_gt=True), test_mode=True)) == 4


def test_an_image_with_nothing_but_crowds_is_empty(root):
    frames = [
        dict(name='a.jpg', labels=[label(crowd=True), label(ignored='yes')]),
        dict(name='b.jpg', labels=[label()]),
    ]
    (root / 'gt.json').write_text(json.dumps(frames))
    data = build(root, filter_cfg=dict(filter_empty_gt=True))
    assert [data.get_data_info(i)['file_name'] for i in range(len(data))] == ['b.jpg']
    assert [i['ignore_flag'] for i in build(root).get_data_info(0)['instances']] == [1, 1]


def test_crowd_in_words_is_no_crowd_where_it_says_so(root):
    frames = [
        dict(name='a.jpg', labels=[label(crowd='false', ignored='0'), label(crowd=0), label(crowd='True')])
    ]
    (root / 'gt.json').write_text(json.dumps(frames))
    assert [i['ignore_flag'] for i in build(root).get_data_info(0)['instances']] == [0, 0, 1]


def test_frames_are_selected_by_attribute(root):
    night = build(root, attributes=dict(timeofday=['night']))
    assert [night.get_data_info(i)['img_id'] for i in range(len(night))] == [0, 3]
    with pytest.raises(
        ValueError, match=r"no frame has timeofday \['dawn'\]; its values are \['daytime', 'night'\]"
    ):
        build(root, attributes=dict(timeofday='dawn'))


def test_subsets_classes_and_wrappers(root):
    for indices, names in ((2, 'ab'), (-2, 'cd'), ([3, 0], 'da')):
        for data in (build(root, indices=indices), build(root).get_subset(indices)):
            assert [data.get_data_info(i)['file_name'][0] for i in range(len(data))] == list(names)
    data = build(root)
    data.get_subset_([3])
    data.full_init()  # once more changes nothing
    assert len(data) == 1
    few = build(root, metainfo=dict(classes=('bus', 'car')))
    assert few.get_cat_ids(3) == [0] and few.get_cat_ids(0) == [1]
    few = build(root, metainfo=dict(classes=('bus', 'car')), ignored='drop')
    assert [few.get_cat_ids(i) for i in range(4)] == [[1], [], [], [0]]
    assert len(ConcatDataset([build(root), build(root)])) == 8
    assert (
        len(ClassBalancedDataset(build(root, filter_cfg=dict(filter_empty_gt=True)), oversample_thr=0.9)) >= 2
    )
    assert len(pickle.loads(pickle.dumps(build(root)))) == 4


@pytest.mark.parametrize(
    ('indices', 'message'),
    [
        (0, 'no image is left by indices=0'),
        ([], r'no image is left by indices=\[\]'),
        ([0, 4], 'it has 4 images, none of index 4'),
        ((-5,), 'it has 4 images, none of index -5'),
    ],
)
def test_a_subset_of_nothing_is_told(root, indices, message):
    for subset in (lambda: build(root, indices=indices), lambda: build(root).get_subset(indices)):
        with pytest.raises(ValueError, match=f'gt.json: {message}'):
            subset()


OLD = ('person', 'rider', 'car', 'bus', 'truck', 'bike', 'motor', 'traffic light', 'traffic sign', 'train')


def test_classes_may_have_the_names_of_2018_and_be_one(root, monkeypatch):
    data = build(root, metainfo=dict(classes=OLD))
    assert data.metainfo['classes'][0] == 'pedestrian' and data.metainfo['classes'][5:7] == (
        'bicycle',
        'motorcycle',
    )
    assert data.get_cat_ids(0) == [2, 0] and data.get_cat_ids(3) == [3, 5]
    assert data.metainfo['palette'][0] == build(root).metainfo['palette'][0] == (220, 20, 60)
    one = build(root, metainfo=dict(classes='bike'))
    assert one.metainfo['classes'] == ('bicycle',) and one.metainfo['palette'] == [(119, 11, 32)]
    assert one.get_cat_ids(3) == [0] and one.get_cat_ids(0) == []
    (root / 'classes.txt').write_text('bus\nmotor\n')
    assert build(root, metainfo=dict(classes=str(root / 'classes.txt'))).metainfo['classes'] == (
        'bus',
        'motorcycle',
    )
    monkeypatch.chdir(root)
    (root / 'bus').mkdir()
    assert build(root, metainfo=dict(classes='bus')).metainfo['classes'] == ('bus',)
    own = build(root, metainfo=dict(classes=['car'], palette=[(1, 2, 3)]))
    assert own.metainfo['palette'] == [(1, 2, 3)]


@pytest.mark.parametrize(
    ('metainfo', 'message'),
    [
        (dict(classes=('car', 'dog')), r"\['dog'\] are none of them; .* are pedestrian, rider, car"),
        (dict(classes=('person', 'pedestrian')), 'one stands twice'),
        (dict(classes=()), 'there is none'),
        (dict(classes='car,bus'), r"\['car,bus'\] are none of them"),
        (dict(classes=('Car',)), r"\['Car'\] are none of them"),
        (
            dict(CLASSES=('car',)),
            r"metainfo has \['CLASSES'\], which is not read; write metainfo=dict\(classes=",
        ),
    ],
)
@pytest.mark.parametrize('lazy_init', [False, True])
def test_classes_that_bdd100k_lacks_are_refused(root, metainfo, message, lazy_init):
    with pytest.raises(ValueError, match=message):
        build(root, metainfo=metainfo, lazy_init=lazy_init)


def test_boxes_that_the_classes_leave_out_are_told(root, caplog, monkeypatch):
    told = []
    monkeypatch.setattr(dataset_module, 'print_log', lambda text, logger: told.append(text))
    build(root, metainfo=dict(classes=('bus', 'train')))
    assert f'{root}/gt.json: 4 of 5 boxes are left out: they are of other classes than bus, train' in told
    assert f'{root}/gt.json: there is no box to learn train from' in told
    told.clear()
    build(root, metainfo=dict(classes=('train',)), test_mode=True)  # nothing is learned in a test
    BDD100KDetDataset(data_root=str(root), data_prefix=dict(img='images/'))  # nor without labels
    build(root, metainfo=dict(classes=('car', 'bus')))  # both are there
    assert told and not any('to learn' in text and 'images have' not in text for text in told)
    told.clear()
    build(root, filter_cfg=dict(filter_empty_gt=True))
    assert f'{root}/gt.json: 2 of 4 images have no box to learn from; dropped (filter_empty_gt)' in told
    build(root, attributes=dict(timeofday=['daytime']))
    assert f'{root}/gt.json: 2 of 2 images have no box to learn from; kept as negatives' in told
    assert not any('left out' in text for text in told)  # the ten classes are all


@pytest.mark.parametrize('content', ['empty', 'cut header', 'text'])
@pytest.mark.parametrize('image_size', [None, (32, 24)])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_an_image_that_cannot_be_read_is_named(root, content, image_size, suffix):
    frames = [dict(name=f'{name}.{suffix}', labels=[label()]) for name in 'ab']
    (root / 'gt.json').write_text(json.dumps(frames))
    for frame in frames:
        cv2.imwrite(str(root / 'images' / frame['name']), np.zeros((24, 32, 3), np.uint8))
    bad = root / f'images/b.{suffix}'
    bad.write_bytes({'empty': b'', 'cut header': bad.read_bytes()[:20], 'text': b'no image'}[content])
    data = build(root, image_size=image_size, pipeline=[dict(type='LoadImageFromFile')])
    assert data[0]['img'].shape == (24, 32, 3)
    with pytest.raises(ImageError, match=rf'images/b\.{suffix}'):
        data[1]
    if image_size is None:  # a sampler asks for the size alone
        with pytest.raises(ImageError, match=rf'images/b\.{suffix}: not an image whose size'):
            data.get_data_info(1)
    bad.unlink()
    with pytest.raises(FileNotFoundError, match=rf'images/b\.{suffix}'):
        data[1]


def test_a_step_that_fails_on_a_good_image_says_its_own_error(root):
    data = build(root, pipeline=[dict(type='LoadImageFromFile'), lambda results: results['nothing']])
    with pytest.raises(KeyError, match='nothing'):
        data[0]


def test_batches_are_grouped_by_shape_and_images_mixed(root):
    for name, shape in dict(a=(24, 32, 3), b=(32, 24, 3), c=(24, 32, 3), d=(32, 24, 3)).items():
        cv2.imwrite(str(root / f'images/{name}.jpg'), np.zeros(shape, np.uint8))
    twice = RepeatDataset(build(root), 2)
    batches = list(AspectRatioBatchSampler(DefaultSampler(twice, shuffle=False), batch_size=2))
    assert batches == [[0, 2], [1, 3], [4, 6], [5, 7]]
    mixed = MultiImageMixDataset(build(root), [dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1, 1))])
    assert len(mixed) == 4 and mixed.metainfo['classes'] == DET_CLASSES


def test_a_filter_that_is_not_read_is_an_error(root):
    with pytest.raises(ValueError, match=r"filter_cfg has \['min_size'\]"):
        build(root, filter_cfg=dict(filter_empty_gt=True, min_size=32))


@pytest.mark.parametrize(
    'labels',
    [
        'made',
        pytest.param('gt.json', marks=pytest.mark.skipif(not SAMPLE.is_dir(), reason='no ../shared')),
        pytest.param(
            'ignored_categories.json', marks=pytest.mark.skipif(not SAMPLE.is_dir(), reason='no ../shared')
        ),
    ],
)
def test_boxes_are_those_of_the_official_conversion_and_coco_dataset(root, labels):
    scalabel_io = pytest.importorskip('scalabel.label.io')
    to_coco = pytest.importorskip('scalabel.label.to_coco')
    utils = pytest.importorskip('bdd100k.common.utils')
    to_scalabel = pytest.importorskip('bdd100k.label.to_scalabel')
    source = root / 'gt.json' if labels == 'made' else SAMPLE / labels
    (root / 'copy.json').write_bytes(source.read_bytes())
    config = utils.load_bdd100k_config('det')
    with contextlib.redirect_stdout(io.StringIO()):
        frames = to_scalabel.bdd100k_to_scalabel(scalabel_io.load(str(source), 1).frames, config)
        (root / 'coco.json').write_text(json.dumps(to_coco.scalabel2coco_detection(frames, config.scalabel)))
        official = CocoDataset(
            ann_file=str(root / 'coco.json'),
            data_prefix=dict(img='images'),
            metainfo=dict(classes=DET_CLASSES),
            test_mode=True,
        )
    first = json.loads(source.read_text())
    first = (first['frames'] if isinstance(first, dict) else first)[0]['name']
    cv2.imwrite(str(root / 'images' / first), np.zeros((4, 4, 3), np.uint8))
    ours = BDD100KDetDataset(
        ann_file=str(root / 'copy.json'),
        data_prefix=dict(img=str(root / 'images')),
        image_size=(1280, 720),
        test_mode=True,
    )
    found = {info['file_name']: info['instances'] for info in map(ours.get_data_info, range(len(ours)))}
    assert len(official) == len(ours) == len(found)

    def rows(instances):
        return sorted((*i['bbox'], i['bbox_label'], i['ignore_flag']) for i in instances)

    for info in map(official.get_data_info, range(len(official))):
        want = rows(info['instances'])
        np.testing.assert_allclose(rows(found[Path(info['img_path']).name]), want, rtol=1e-12, atol=1e-9)


def test_a_folder_of_images_without_labels(root):
    (root / 'images/more').mkdir()
    cv2.imwrite(str(root / 'images/more/e.png'), np.zeros((8, 8, 3), np.uint8))
    (root / 'images/.thumbs').mkdir()
    (root / 'images/out/pictures').mkdir(parents=True)
    for name in ('._a.jpg', '.thumbs/a.jpg', 'notes.txt', 'out/pictures/a.jpg'):
        (root / 'images' / name).write_bytes(b'junk')
    note_outputs(root / 'images/out', root / 'images', ['pictures', 'det.json'])
    images = dict(data_root=str(root), data_prefix=dict(img='images/'))
    assert len(BDD100KDetDataset(**images, filter_cfg=dict(filter_empty_gt=True))) == 5
    data = BDD100KDetDataset(**images, test_mode=True)
    assert [data.get_data_info(i)['file_name'] for i in range(len(data))] == [
        'a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'more/e.png',
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError, match='no images below'):
        BDD100KDetDataset(data_root=str(root), data_prefix=dict(img='none/'))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda f: f[0]['labels'][0].update(category='dog'),
            "frame 'a.jpg': labels\\[0\\].category is 'dog'",
        ),
        (
            lambda f: f[3]['labels'][1]['box2d'].update(x2=-4.0),
            "frame 'd.jpg': box2d of a bicycle is inverted",
        ),
        (lambda f: f[3].update(name='a.jpg'), "the first is 'a.jpg', 2 times in .*gt.json"),
        (
            lambda f: f[3]['labels'][1]['attributes'].update(crowd='perhaps'),
            r"frame 'd.jpg': labels\[1\].attributes.crowd is 'perhaps'",
        ),
        (lambda f: f[0].pop('name'), 'missing required field `name`'),
    ],
)
def test_bad_labels_fail_with_file_and_frame(root, change, message):
    frames = json.loads(json.dumps(FRAMES))
    change(frames)
    (root / 'gt.json').write_text(json.dumps(frames))
    with pytest.raises(LabelFileError, match=message) as caught:
        build(root)
    assert 'gt.json' in str(caught.value)


def test_missing_images_are_named(root):
    (root / 'images/c.jpg').unlink()
    assert len(build(root)) == 4
    with pytest.raises(FileNotFoundError, match=r'1 of 4 images checked are missing, the first is .*c\.jpg'):
        build(root, check_images=True)
    with pytest.raises(FileNotFoundError, match='set data_root and data_prefix'):
        BDD100KDetDataset(data_root=str(root), ann_file='gt.json', data_prefix=dict(img='elsewhere/'))


@pytest.mark.parametrize('image_size', [None, (48, 36)])
@pytest.mark.parametrize('several', [False, True])
def test_in_a_test_run_a_black_image_stands_for_one_that_cannot_be_read(root, image_size, several):
    (root / 'images/b.jpg').write_bytes(b'')
    shown = []

    def pack(results):
        shown.append(results)
        sample = DetDataSample()
        return dict(inputs=results['img'], data_samples=[sample] if several else sample)

    steps = [dict(type='LoadImageFromFile'), lambda results: dict(results, seen=True), pack]
    data = build(root, image_size=image_size, pipeline=steps, test_mode=True)
    with pytest.raises(ImageError, match=r'b\.jpg'):
        data[1]
    data.leaves_out = True
    item = data[1]
    width, height = image_size or (64, 64)
    assert item['inputs'].shape == (height, width, 3) and item['inputs'].dtype == np.uint8
    assert not item['inputs'].any()
    (results,) = shown
    assert results['img_shape'] == results['ori_shape'] == (height, width) and results['seen']
    assert results['img_path'] == str(root / 'images/b.jpg') and results['file_name'] == 'b.jpg'
    assert (results['img_id'], results['sample_idx'], results['instances']) == (1, 1, [])
    sample = item['data_samples'][0] if several else item['data_samples']
    assert sample.left_out.startswith(f'{root}/images/b.jpg: the file is empty')
    with pytest.raises(ImageError, match=r'b\.jpg'):
        training = build(root, image_size=(32, 24), pipeline=steps)
        training.leaves_out = True
        training[1]
    (root / 'images/b.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'b\.jpg'):
        data[1]


def test_a_data_set_is_read_when_something_of_it_is_asked_for(root):
    for ask, want in (
        (lambda d: len(d.columns.names), 4),
        (lambda d: d.frame_keys(), ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']),
        (len, 4),
        (lambda d: d.get_cat_ids(0), [2, 0]),
        (lambda d: d.get_data_info(1)['file_name'], 'b.jpg'),
        (lambda d: len(d.get_subset(2)), 2),
    ):
        lazy = build(root, lazy_init=True)
        assert not hasattr(lazy, '_columns') and ask(lazy) == want
    with pytest.raises(IndexError):
        build(root).get_data_info(4)


def test_sizes_of_images_are_read_once(root, monkeypatch):
    data = build(root)
    opened, real = [], dataset_module.size_in_header
    monkeypatch.setattr(dataset_module, 'size_in_header', lambda path: opened.append(str(path)) or real(path))
    for _ in range(2):
        assert [(d['width'], d['height']) for d in map(data.get_data_info, range(2))] == [(32, 24), (32, 32)]
    assert opened == [str(root / 'images/a.jpg'), str(root / 'images/b.jpg')]
    known = build(root, image_size=(7, 5)).get_data_info(0)
    assert (known['width'], known['height']) == (7, 5) and len(opened) == 2
