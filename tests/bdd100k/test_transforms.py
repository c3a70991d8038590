import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import DATASETS
from mmengine.registry import DefaultScope

from mmroad.bdd100k import dataset  # noqa: F401 (registers)
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.bdd100k.transforms import FastPackDetInputs, to_chw


@pytest.mark.parametrize(
    'view',
    [
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: x[::-1],
        lambda x: x[::-1, ::-1],
        lambda x: x[..., ::-1],
        lambda x: x[2:7, 1:9],
        lambda x: x[2:7, 1:9][:, ::-1],
        lambda x: x[..., 0],
        lambda x: x[..., 0][:, ::-1],
        lambda x: x[..., :1],
        lambda x: x[:, :1],
        lambda x: x[:1],
        lambda x: x[:, ::-1].astype(np.float32),
    ],
)
@pytest.mark.parametrize('shape', [(11, 13, 3), (61, 640, 3)])
def test_packing_equals_the_transposed_copy(view, shape):
    image = view(np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    before = image.copy()
    want = image.transpose(2, 0, 1) if image.ndim == 3 else image[None]
    assert torch.equal(to_chw(image), torch.from_numpy(np.ascontiguousarray(want)))
    assert np.array_equal(image, before)


@pytest.mark.parametrize('flip', [0.0, 1.0])
@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_pipeline_gives_what_mmdets_stock_one_gives(tmp_path, flip, direction):
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'd.png'), image)
    labels = [
        dict(category=c, box2d=dict(x1=1.0, y1=2.0, x2=x2, y2=20.0), attributes=dict(crowd=crowd))
        for c, x2, crowd in (('bus', 10.0, False), ('bike', 15.5, False), ('car', 12.0, True))
    ]
    (tmp_path / 'gt.json').write_text(json.dumps([dict(name='d.png', labels=labels)]))
    head = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(64, 48), keep_ratio=True),
        dict(type='RandomFlip', prob=flip, direction=direction),
    ]
    packed = []
    DefaultScope.get_instance('pipeline', scope_name='mmdet')
    for pack in (dict(type='PackDetInputs'), dict(type='FastPackDetInputs')):
        cfg = dict(
            type='BDD100KDetDataset', data_root=str(tmp_path), ann_file='gt.json', pipeline=[*head, pack]
        )
        packed.append(DATASETS.build(dict(cfg, data_prefix=dict(img='.')))[0])
    stock, fast = packed
    assert torch.equal(stock['inputs'], fast['inputs'])
    for field in ('gt_instances', 'ignored_instances'):
        a, b = getattr(stock['data_samples'], field), getattr(fast['data_samples'], field)
        assert torch.equal(a.bboxes.tensor, b.bboxes.tensor) and torch.equal(a.labels, b.labels)
    assert fast['data_samples'].ignored_instances.labels.tolist() == [DET_CLASSES.index('car')]
    assert fast['data_samples'].file_name == 'd.png' and issubclass(FastPackDetInputs, PackDetInputs)


def test_results_without_an_image_are_packed_as_mmdet_does():
    meta = dict(img_id=1, file_name='d.png')
    packed = FastPackDetInputs(meta_keys=('img_id', 'file_name')).transform(dict(meta))
    assert 'inputs' not in packed and packed['data_samples'].metainfo == meta


def test_the_results_keep_their_image():
    results = dict(img=np.zeros((4, 6, 3), np.uint8), img_id=1)
    assert FastPackDetInputs(meta_keys=('img_id',)).transform(results)['inputs'].shape == (3, 4, 6)
    assert results['img'].shape == (4, 6, 3)
