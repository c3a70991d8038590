import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import DATASETS
from mmengine.dataset import ClassBalancedDataset, ConcatDataset
from mmengine.registry import DefaultScope

from mmroad.bdd100k.dataset import BDD100KDetDataset
from mmroad.bdd100k.scalabel import DET_CLASSES, LabelFileError
from mmroad.bdd100k.transforms import FastPackDetInputs, to_chw


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


def test_frames_are_selected_by_attribute(root):
    night = build(root, attributes=dict(timeofday=['night']))
    assert [night.get_data_info(i)['img_id'] for i in range(len(night))] == [0, 3]
    with pytest.raises(
        ValueError, match=r"no frame has timeofday \['dawn'\]; its values are \['daytime', 'night'\]"
    ):
        build(root, attributes=dict(timeofday='dawn'))


def test_subsets_classes_and_wrappers(root):
    assert len(build(root, indices=2)) == 2
    assert [build(root).get_subset([3, 0]).get_data_info(0)['file_name']] == ['d.jpg']
    few = build(root, metainfo=dict(classes=('bus', 'car')))
    assert few.get_cat_ids(3) == [0] and few.get_cat_ids(0) == [1]
    assert len(ConcatDataset([build(root), build(root)])) == 8
    assert (
        len(ClassBalancedDataset(build(root, filter_cfg=dict(filter_empty_gt=True)), oversample_thr=0.9)) >= 2
    )
    assert len(pickle.loads(pickle.dumps(build(root)))) == 4


def test_a_folder_of_images_without_labels(root):
    (root / 'images/more').mkdir()
    cv2.imwrite(str(root / 'images/more/e.png'), np.zeros((8, 8, 3), np.uint8))
    data = BDD100KDetDataset(data_root=str(root), data_prefix=dict(img='images/'), test_mode=True)
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
        (lambda f: f[3].update(name='a.jpg'), "the first is 'a.jpg'"),
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


@pytest.mark.parametrize(
    'view', [lambda x: x, lambda x: x[:, ::-1], lambda x: x[2:7, 1:9], lambda x: x[..., 0]]
)
def test_packing_equals_the_transposed_copy(view):
    image = view(np.random.default_rng(0).integers(0, 255, (11, 13, 3), np.uint8))
    want = image.transpose(2, 0, 1) if image.ndim == 3 else image[None]
    assert torch.equal(to_chw(image), torch.from_numpy(np.ascontiguousarray(want)))


def test_pipeline_gives_what_mmdets_stock_one_gives(root):
    head = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(64, 48), keep_ratio=True),
        dict(type='RandomFlip', prob=1.0),
    ]
    packed = []
    DefaultScope.get_instance('pipeline', scope_name='mmdet')
    for pack in (dict(type='PackDetInputs'), dict(type='FastPackDetInputs')):
        cfg = dict(type='BDD100KDetDataset', data_root=str(root), ann_file='gt.json', pipeline=[*head, pack])
        packed.append(DATASETS.build(dict(cfg, data_prefix=dict(img='images/')))[3])
    stock, fast = packed
    assert torch.equal(stock['inputs'], fast['inputs'])
    for field in ('gt_instances', 'ignored_instances'):
        a, b = getattr(stock['data_samples'], field), getattr(fast['data_samples'], field)
        assert torch.equal(a.bboxes.tensor, b.bboxes.tensor) and torch.equal(a.labels, b.labels)
    assert fast['data_samples'].file_name == 'd.jpg' and issubclass(FastPackDetInputs, PackDetInputs)
