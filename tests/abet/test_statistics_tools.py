"""The tools that go over training images, on road scenes, with images and options that cannot be used."""

import json

import numpy as np
import pytest

from mmroad.commands import main
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo import models

CONFIG = 'deepv3plus_r18_road_scenes'


@pytest.fixture
def tool(monkeypatch, tmp_path):
    write_dataset(tmp_path / 'data/road_scenes', train=3, val=1, ood=0, size=(96, 64))
    monkeypatch.chdir(tmp_path)

    def run(name, *options):
        main([*name.split(), *map(str, options)])

    return run


@pytest.fixture(scope='module')
def model():
    return models.init_model(CONFIG)


def test_statistics_of_the_training_images(tool, model, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(models, 'init_model', lambda *_, **__: model)
    tool('scores sml', CONFIG, 'x.pth', '--out', 'new/sml.json')
    whole = json.loads((tmp_path / 'new/sml.json').read_text())
    assert sum(whole['count']) == 3 * 96 * 64 and '3 images' in capsys.readouterr().out
    images = tmp_path / 'data/road_scenes/images/10k/train'
    tool('scores sml', CONFIG, 'x.pth', '--out', 'same.json', '--images', images)
    assert json.loads((tmp_path / 'same.json').read_text()) == whole
    (images / 'train-00001.jpg').write_bytes(b'')
    for source in ([], ['--images', images]):
        with (
            pytest.warns(UserWarning),
            pytest.raises(SystemExit, match='(?s)1 images are left out.*train-00001.jpg'),
        ):
            tool('scores sml', CONFIG, 'x.pth', '--out', 'two.json', *source)
        assert sum(json.loads((tmp_path / 'two.json').read_text())['count']) == 2 * 96 * 64
    with (
        pytest.warns(UserWarning),
        pytest.raises(SystemExit, match='(?s)no image could be read.*train-00001.jpg'),
    ):
        tool('scores sml', CONFIG, 'x.pth', '--out', 'none.json', '--images', images / '*1.jpg')
    assert not (tmp_path / 'none.json').exists()
    (tmp_path / 'x.pth').write_text('mine')
    with pytest.raises(SystemExit, match='x.pth would replace .*source'):
        tool('scores sml', CONFIG, 'x.pth', '--out', 'x.pth', '--images', images)
    monkeypatch.setattr(
        model.decode_head.conv_seg.weight, 'data', model.decode_head.conv_seg.weight * float('nan')
    )
    with pytest.raises(SystemExit, match='train-00000.jpg: logits are not finite'):
        tool('scores sml', CONFIG, 'x.pth', '--out', 'none.json', '--images', images / '*0.jpg')


def test_histogram(tool, tmp_path, capsys):
    tool('histogram', CONFIG, '--cache', 'c.npz', '--tile', '32', '--crop', '32', '48')
    out = capsys.readouterr().out
    assert '3 crops of 32 x 48' in out and 'road ' in out
    with open('other.npz', 'wb') as file:
        np.savez(file, mine=np.ones(3))
    with pytest.raises(SystemExit, match='other.npz holds mine'):
        tool('histogram', CONFIG, '--cache', 'other.npz')
    with np.load('other.npz') as content:
        assert content['mine'].sum() == 3
    with pytest.raises(SystemExit, match='give --cache'):
        tool('histogram', CONFIG)
    with pytest.raises(SystemExit, match='give --crop'):
        tool('histogram', 'mask2former_small_road_scenes', '--cache', 'c.npz')
    with pytest.raises(SystemExit, match='gone'):
        tool('histogram', CONFIG, '--cache', 'c.npz', '--data-root', 'gone')
