"""Augmentation, schedules, hooks and splits."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmroad.abet.datasets import CityscapesCitySplit, Mapillary65Dataset
from mmroad.abet.losses import JointWeightedBorderLoss
from mmroad.abet.schedules import BorderRelaxationHook, SclPolyLR, SnapshotTransferHook
from mmroad.abet.transforms import RandomColorJitter, RandomGaussianBlur, RandomRescale


def random_image(size=(30, 40)):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_rescale_takes_the_centroid_along():
    labels = np.zeros((30, 40), np.uint8)
    out = RandomRescale((2, 2))(
        dict(img=random_image(), gt_seg_map=labels, seg_fields=['gt_seg_map'], centroid=(10, 3))
    )
    assert out['img'].shape == (60, 80, 3) and out['gt_seg_map'].shape == (60, 80)
    assert out['centroid'] == (20, 6) and out['img_shape'] == (60, 80)


def test_jitter_follows_its_definitions():
    image = random_image()
    still = RandomColorJitter(brightness=0, contrast=0, saturation=0, hue=0)
    change = np.abs(still(dict(img=image))['img'].astype(int) - image)
    assert change.max() <= 8  # through HSV and back
    brighter = RandomColorJitter()
    brighter._draw = lambda: [('brightness', 0.2)]
    want = np.clip(image * 1.2, 0, 255)
    assert np.abs(brighter(dict(img=image))['img'] - want).max() <= 1
    gray = RandomColorJitter()
    gray._draw = lambda: [('saturation', -1.0)]
    out = gray(dict(img=image))['img']
    assert (out[..., 0] == out[..., 1]).all() and (out[..., 1] == out[..., 2]).all()
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 2] = 255
    hue = RandomColorJitter()
    hue._draw = lambda: [('hue', 1 / 3)]
    assert hue(dict(img=red))['img'][0, 0].argmax() == 1  # a third of the circle from red is green


def test_blur_keeps_flat_images_and_sums():
    flat = np.full((9, 9, 3), 77, np.uint8)
    assert (RandomGaussianBlur()(dict(img=flat))['img'] == 77).all()
    dot = np.zeros((21, 21), np.uint8)
    dot[10, 10] = 255
    out = RandomGaussianBlur((1.0, 1.0))(dict(img=dot))['img'].astype(float)
    assert abs(out[10, 10] / 255 - 1 / (2 * np.pi)) < 0.01


def test_scl_poly_restarts():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1e-3)
    scheduler = SclPolyLR(optimizer, max_epochs=175, restart=100, by_epoch=True)
    rates = []
    for _ in range(176):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(1e-3)
    assert rates[99] == pytest.approx(1e-3 * (1 - 99 / 175))
    assert rates[100] == pytest.approx(1e-3)
    assert rates[137] == pytest.approx(1e-3 * (1 - 37 / 75) ** 1.5)
    assert rates[175] == 0


class FakeRunner:
    def __init__(self, model, epoch=0, resume=False):
        import logging

        self.model, self.epoch, self._resume, self.logger = model, epoch, resume, logging.getLogger('x')


def test_relaxation_ends_after_its_epoch():
    model = nn.Sequential(JointWeightedBorderLoss())
    hook = BorderRelaxationHook(100)
    for epoch, relax in ((0, True), (100, True), (101, False), (3, True)):
        hook.before_train_epoch(FakeRunner(model, epoch))
        assert model[0].relax is relax


def head(classes):
    from mmroad.abet.temperature import LearnedTemperature

    model = nn.Module()
    model.decode_head = nn.Module()
    model.decode_head.temperature = LearnedTemperature(4, classes)
    return model


def test_snapshot_transfer_keeps_the_temperature_and_restarts_the_classifier(tmp_path):
    pytest.importorskip('mmroad.zoo.checkpoint')
    source, model = head(65), head(19)
    path = tmp_path / 'mapillary.pth'
    torch.save(dict(state_dict=source.state_dict()), path)
    before = model.decode_head.temperature.cosine.weight.clone()
    SnapshotTransferHook(str(path)).before_train(FakeRunner(model))
    part = model.decode_head.temperature
    assert torch.equal(part.conv.weight, source.decode_head.temperature.conv.weight)
    assert torch.equal(part.cosine.weight, before)


def test_snapshot_that_does_not_fit_is_refused():
    hook = SnapshotTransferHook('file.pth')
    state = head(19).state_dict()
    assert hook.transfer(head(19), state) == []
    assert hook.transfer(head(5), state) == ['decode_head.temperature.cosine.weight']
    with pytest.raises(ValueError, match='bn.running_var is missing'):
        hook.transfer(head(19), {k: v for k, v in state.items() if 'running_var' not in k})
    with pytest.raises(ValueError, match='other is left over'):
        hook.transfer(head(19), state | dict(other=torch.zeros(1)))
    with pytest.raises(ValueError, match='conv.weight has another shape'):
        hook.transfer(head(19), state | {'decode_head.temperature.conv.weight': torch.zeros(1)})


def test_cities_are_split_anew(tmp_path):
    init_default_scope('mmseg')
    for split, city in (('train', 'aachen'), ('train', 'stuttgart'), ('val', 'munster')):
        folder = tmp_path / 'leftImg8bit' / split / city
        folder.mkdir(parents=True)
        (folder / f'{city}_000000_000000_leftImg8bit.png').touch()
    parts = {
        part: [
            item['seg_map_path']
            for item in CityscapesCitySplit(data_root=str(tmp_path), part=part, pipeline=[])
        ]
        for part in ('train', 'val')
    }
    assert [len(parts['train']), len(parts['val'])] == [2, 1]
    assert parts['val'][0].endswith('gtFine/train/stuttgart/stuttgart_000000_000000_gtFine_labelTrainIds.png')
    assert any('gtFine/val/munster' in path for path in parts['train'])
    with pytest.raises(FileNotFoundError, match='val cities'):
        CityscapesCitySplit(data_root=str(tmp_path), part='val', val_cities=('bochum',), pipeline=[])
    with pytest.raises(ValueError, match='train or val'):
        CityscapesCitySplit(part='test')


def test_mapillary_has_65_classes():
    assert len(Mapillary65Dataset.METAINFO['classes']) == len(Mapillary65Dataset.METAINFO['palette']) == 65
    assert Mapillary65Dataset.METAINFO['classes'][-1] == 'Ego Vehicle'
