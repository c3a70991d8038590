"""--val-loss: the loss of the validation images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from tiny_training import TinyDataset, differences, run_tiny, tiny_config

from mmroad.runtime.training.val_loss import add_val_loss
from mmroad.zoo.configs import get_config

HOOKS, SEED = tiny_config('')['custom_hooks'], dict(seed=5)
CONFIGS = Path(__file__).parents[2] / 'configs'


@DATASETS.register_module()
class StillTiny(TinyDataset):
    """Points that do not move."""

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([index % 2, index % 5, index % 7.0]), label=float(index % 2))


@DATASETS.register_module()
class OtherTiny(TinyDataset):
    metainfo = dict(classes=('up', 'down'))


def hook(kind='StillTiny'):
    """Of a number of images that the batches do not divide."""
    loader = dict(tiny_config('')['val_dataloader'], dataset=dict(type=kind, size=7))
    return dict(type='ValLossHook', dataloader=loader)


def losses(folder):
    (file,) = Path(folder).rglob('scalars.json')
    rows = map(json.loads, file.read_text().splitlines())
    return [row['val_loss'] for row in rows if 'val_loss' in row]


def test_loss_is_the_mean_over_the_images(tmp_path):
    seen = []

    def watch(runner, name):
        if name != 'before_val_epoch':
            return
        net, items = runner.model.net, [StillTiny(7)[i] for i in range(7)]
        was = net.training
        net.eval()
        with torch.no_grad():
            out = net(torch.stack([item['inputs'] for item in items]))[:, 0]
        net.train(was)
        labels = torch.tensor([item['label'] for item in items])
        seen.append(float(((out - labels) ** 2).mean()))

    run_tiny(tmp_path, custom_hooks=[hook()], watch=watch)  # without averaged weights, which are other ones
    found = losses(tmp_path)
    assert len(found) == 4
    np.testing.assert_allclose(found, seen, atol=0.02)  # the model adds up to 0.01 of its output at random


def test_training_is_the_same_with_and_without(tmp_path):
    run_tiny(tmp_path / 'with', custom_hooks=[*HOOKS, hook()], randomness=SEED)
    run_tiny(tmp_path / 'without', randomness=SEED)
    found = differences(tmp_path / 'with/epoch_4.pth', tmp_path / 'without/epoch_4.pth')
    assert [name for name in found if not name.startswith('message_hub')] == []  # that holds the losses
    run_tiny(tmp_path / 'again', custom_hooks=[*HOOKS, hook()], randomness=SEED)
    assert (
        losses(tmp_path / 'with') == losses(tmp_path / 'again') and len(set(losses(tmp_path / 'with'))) == 4
    )


def test_other_classes_are_refused_before_the_training(tmp_path):
    with pytest.raises(ValueError, match='the validation has the classes up, down, the training left, right'):
        run_tiny(tmp_path, custom_hooks=[hook('OtherTiny')])


@pytest.fixture
def road(tmp_path):
    """Two images with boxes, as BDD100K lies."""
    images, labels = tmp_path / 'images/100k', tmp_path / 'labels/det_20'
    labels.mkdir(parents=True)
    frames = []
    for split in ('train', 'val'):
        (images / split).mkdir(parents=True)
        for name in ('a.jpg', 'b.jpg'):
            Image.fromarray(np.full((96, 160, 3), 90, np.uint8)).save(images / split / name)
        box = dict(x1=16, y1=8, x2=95, y2=55)
        frames = [dict(name=n, labels=[dict(id='0', category='car', box2d=box)]) for n in ('a.jpg', 'b.jpg')]
        (labels / f'det_{split}.json').write_text(json.dumps(frames))
    return tmp_path


def test_labels_are_resized_with_their_images(road):
    from mmdet.registry import DATASETS

    cfg = get_config(str(CONFIGS / 'quickstart/faster_rcnn_r18_fpn_quickstart.py'))
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.update(data_root=f'{road}/')
    add_val_loss(cfg)
    dataset = cfg.custom_hooks[-1]['dataloader']['dataset']
    kinds = [step['type'] for step in dataset['pipeline']]
    assert kinds == ['LoadImageFromFile', 'LoadAnnotations', 'Resize', 'FastPackDetInputs']
    assert 'LoadAnnotations' not in str(cfg.val_dataloader)  # the validation itself is as it was
    init_default_scope('mmdet')
    item = DATASETS.build(dataset)[0]
    assert tuple(item['inputs'].shape[1:]) == (192, 320)
    np.testing.assert_allclose(
        item['data_samples'].gt_instances.bboxes.numpy(), [[32, 16, 192, 112]], atol=1e-4
    )


@pytest.mark.parametrize(
    'name, kinds',
    [
        ('configs/rankseg/deeplabv3_r50-d8_4xb4-80k_ade20k-512x512.py', None),
        (
            'faster_rcnn_r50_fpn_3x_det_bdd100k',
            ['LoadImageFromFile', 'LoadAnnotations', 'Resize', 'FastPackDetInputs'],
        ),
    ],
)
def test_pipelines_of_the_zoo_are_joined(name, kinds):
    if kinds is None:
        name = next(iter(sorted((CONFIGS / 'rankseg').glob('*ade20k*.py'))), None)
        if name is None:
            pytest.skip('no such config')
    cfg = get_config(str(name))
    add_val_loss(cfg)
    found = [step['type'] for step in cfg.custom_hooks[-1]['dataloader']['dataset']['pipeline']]
    assert kinds is None or found == kinds
    labels = next(i for i, kind in enumerate(found) if kind.startswith('Load') and 'Image' not in kind)
    resize = [i for i, kind in enumerate(found) if 'Resize' in kind]
    assert labels == 1 and all(i > labels for i in resize) and 'Pack' in found[-1]


def test_a_config_without_validation_is_refused(tmp_path):
    cfg = Config(tiny_config(tmp_path))
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match='the config has no validation'):
        add_val_loss(cfg)
    cfg = Config(tiny_config(tmp_path))
    with pytest.raises(ValueError, match='TinyDataset of other data sets'):
        add_val_loss(cfg)
