"""From the name of weights to their file: paths, URLs and the names that mmengine knows."""

from pathlib import Path

import pytest
import torch

from mmroad.zoo import weights
from mmroad.zoo.loader import load_from_mmroad, locate


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """URLs that would be fetched, by their place in the cache."""
    found = {}
    monkeypatch.setenv('MMROAD_HOME', str(tmp_path))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.setattr(weights, 'fetch', lambda url, path, **_: found.setdefault(path, url) and path)
    return found


def test_files_of_one_name_on_several_hosts_are_several_files(asked, tmp_path):
    urls = [
        'https://a.org/one/epoch_12.pth',
        'https://a.org/two/epoch_12.pth',
        'http://b.org:81/one/epoch_12.pth',
        'https://a.org/one/epoch_12.pth?version=2',
        'https://a.org/one/epoch_12.pth?version=3',
    ]
    places = [locate(url) for url in urls]
    assert len(set(places)) == len(urls) and list(asked.values()) == urls
    assert places[0] == tmp_path / 'hub/a.org/one/epoch_12.pth'
    assert all(place.suffix == '.pth' and (tmp_path / 'hub') in place.parents for place in places)


def test_no_password_and_no_way_out_of_the_cache(asked, tmp_path):
    place = locate('https://me:secret@a.org/%2E%2E%2Fx/a b.pth')
    assert 'secret' not in str(place) and place.resolve().is_relative_to(tmp_path / 'hub')
    for url in ('https://a.org/../../x.pth', 'https://a.org/%2e%2e/x.pth', 'https://a.org/', 'https://a.org'):
        with pytest.raises(ValueError, match='names no file'):
            locate(url)


def test_files_that_every_host_has_are_one(asked, tmp_path):
    name = 'resnet50_msra-5891d200.pth'
    for url in ('open-mmlab://detectron2/resnet50_caffe', f'https://a.org/{name}', f'imagenet://x/{name}'):
        assert locate(url) == tmp_path / 'imagenet' / name
    assert len(asked) == 1


def test_names_of_mmengine(asked):
    assert locate('torchvision://resnet18').name.startswith('resnet18-')
    assert locate('modelzoo://resnet18') == locate('torchvision://resnet18')
    assert locate('openmmlab://resnext50_32x4d').name == 'resnext50-32x4d-0ab1a123.pth'
    assert locate('open-mmlab://resnet50_caffe') == locate(
        'open-mmlab://detectron/resnet50_caffe'
    )  # its old name
    assert locate('mmcls://vgg11').name.startswith('vgg11_')
    with pytest.raises(ValueError, match=r'torchvision://resnet5: there are no such weights; near: resnet50'):
        locate('torchvision://resnet5')


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save(dict(w=torch.ones(2)), tmp_path / 'a b.pth')
    for name in ('~/a b.pth', Path(tmp_path / 'a b.pth'), f'file://{tmp_path}/a%20b.pth'):
        assert load_from_mmroad(name)['w'].sum() == 2
    with pytest.raises(FileNotFoundError, match='no checkpoint at gone.pth'):
        load_from_mmroad('gone.pth', 'cpu')


def test_backbones_of_classifiers_lose_their_prefix(monkeypatch, tmp_path):
    monkeypatch.setattr('mmroad.zoo.loader.locate', lambda name: tmp_path / 'a.pth')
    torch.save(dict(state_dict={'backbone.w': torch.ones(2), 'head.w': torch.ones(1)}), tmp_path / 'a.pth')
    assert load_from_mmroad('mmcls://vgg11')['state_dict'].keys() == {'w'}
    assert load_from_mmroad('https://a.org/a.pth')['state_dict'].keys() == {'backbone.w', 'head.w'}
