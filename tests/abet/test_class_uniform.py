"""Tile centroids, their cache and class-uniform epochs."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from mmroad.abet.class_uniform import ClassUniformDataset, ClassUniformSampler, tile_centroids
from mmroad.abet.transforms import CentroidCrop


@pytest.fixture
def config(tmp_path):
    """40 label maps of 40x60: class 0 everywhere, classes 1 and 2 rare, 255 at the border."""
    init_default_scope('mmseg')
    rng = np.random.default_rng(0)
    for folder in ('img', 'seg'):
        (tmp_path / folder).mkdir()
    for i in range(40):
        labels = np.zeros((40, 60), np.uint8)
        labels[:, :2] = 255
        if i < 3:
            y, x = rng.integers(0, 30), rng.integers(5, 50)
            labels[y : y + 6, x : x + 6] = 1 + i % 2
        Image.fromarray(labels).save(tmp_path / f'seg/{i:02}.png')
        Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(tmp_path / f'img/{i:02}.jpg')
    return dict(
        type='ClassUniformDataset',
        cache_file=str(tmp_path / 'cache/centroids.npz'),
        tile=32,
        dataset=dict(
            type='mmseg.BaseSegDataset',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='img', seg_map_path='seg'),
            metainfo=dict(classes=('road', 'rare', 'rarer')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='CentroidCrop', size=(16, 16)),
            ],
        ),
    )


def build(config):
    return ClassUniformDataset(**{k: v for k, v in config.items() if k != 'type'})


def test_centroids_by_hand():
    labels = np.full((6, 8), 255)
    labels[1, 1:4] = 2
    labels[5, 7] = 0
    labels[0:2, 6] = 1
    assert tile_centroids(labels, 3, 4).tolist() == [[2, 2, 1], [1, 6, 0], [0, 7, 5]]


def test_cache_is_used_and_renewed(config, tmp_path, monkeypatch):
    first = build(config).centroids
    assert len(first) and (tmp_path / 'cache/centroids.npz').is_file()
    calls = []
    real = tile_centroids
    monkeypatch.setattr('mmroad.abet.class_uniform.tile_centroids', lambda *a: calls.append(1) or real(*a))
    assert (build(config).centroids == first).all() and not calls
    Image.fromarray(np.ones((40, 60), np.uint8)).save(tmp_path / 'seg/39.png')
    renewed = build(config).centroids
    assert len(calls) == 40
    assert (
        first[first[:, 0] == 39, 1].tolist() == [0] * 4
        and renewed[renewed[:, 0] == 39, 1].tolist() == [1] * 4
    )


def test_an_epoch_takes_the_same_number_of_every_class(config):
    dataset = build(config)
    sampler = ClassUniformSampler(dataset, seed=0)
    indices = sampler.epoch_indices(0)
    drawn = indices[indices >= 40] - 40
    assert len(indices) == len(dataset) == 40
    assert np.bincount(dataset.centroids[drawn, 1]).tolist() == [6, 6, 6]
    assert len(np.unique(indices[indices < 40])) == 22  # the rest are images, none twice
    assert (sampler.epoch_indices(0) == indices).all()
    assert (sampler.epoch_indices(1) != indices).any()
    late = ClassUniformSampler(dataset, seed=0, last_epoch=5)
    assert sorted(late.epoch_indices(5)) == list(range(40))


def test_ranks_share_one_epoch(config, monkeypatch):
    dataset = build(config)
    parts = []
    for rank in range(3):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 3))
        sampler = ClassUniformSampler(dataset, seed=1)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler) == 14
    whole = sampler.epoch_indices(0)
    assert np.array_equal(np.stack(parts, 1).ravel()[:40], whole)


def test_a_centroid_item_shows_its_class(config):
    dataset = build(config)
    rare = [(k, label) for k, (_, label, _, _) in enumerate(dataset.centroids) if label]
    assert {label for _, label in rare} == {1, 2}
    for k, label in rare:
        item = dataset[dataset.num_images + k]
        assert (item['gt_seg_map'] == label).any()
        assert item['img'].shape[:2] == item['gt_seg_map'].shape == (16, 16)


def test_boost_adds_centroids_of_its_classes_only(config, tmp_path):
    plain = build(config)
    for folder in ('img', 'seg'):
        (tmp_path / 'coarse' / folder).mkdir(parents=True)
    for i in range(2):  # a class of its own and the boosted one, which the images do not have there
        labels = np.full((40, 60), 255, np.uint8)
        labels[20:30, 30 + i : 40] = 2
        labels[:5, :5] = 1
        Image.fromarray(labels).save(tmp_path / f'coarse/seg/{i}.png')
        Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(tmp_path / f'coarse/img/{i}.jpg')
    coarse = dict(config['dataset'], data_root=str(tmp_path / 'coarse'))
    boosted = build(
        config | dict(boost=coarse, boost_classes=[2], boost_cache_file=str(tmp_path / 'boost.npz'))
    )
    assert len(boosted) == len(plain) == 40
    added = boosted.centroids[len(plain.centroids) :]
    assert (added[:, 1] == 2).all() and set(added[:, 0]) == {40, 41} and len(added) == 4
    assert (boosted.centroids[: len(plain.centroids)] == plain.centroids).all()
    for k, (image, _, x, y) in enumerate(added, len(boosted) + len(plain.centroids)):
        info = boosted.get_data_info(k)
        assert info['img_path'] == str(tmp_path / f'coarse/img/{image - 40}.jpg') and info['centroid'] == (
            x,
            y,
        )
        item = boosted[k]
        assert (item['gt_seg_map'] == 2).any() and not (item['gt_seg_map'] == 0).any()
    with pytest.raises(ValueError, match='boost_cache_file'):
        build(config | dict(boost=config['dataset']))


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'junk', None])
def test_a_damaged_cache_is_made_anew(config, tmp_path, content):
    first = build(config).centroids
    cache = tmp_path / 'cache/centroids.npz'
    whole = cache.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert (build(config).centroids == first).all()
    assert len(cache.read_bytes()) == len(whole) and len(list(cache.parent.iterdir())) == 1


def test_labels_must_be_loaded(config, tmp_path):
    config['dataset']['pipeline'] = [dict(type='LoadImageFromFile')]
    with pytest.raises(ValueError, match='LoadAnnotations'):
        build(config)


@pytest.mark.parametrize('centroid', [(0, 0), (59, 39), (30, 2), None])
@pytest.mark.parametrize('size', [(16, 16), (64, 64), (20, 90)])
def test_crops_hold_the_centroid(centroid, size):
    image = np.zeros((40, 60, 3), np.uint8)
    labels = np.zeros((40, 60), np.uint8)
    if centroid:
        labels[centroid[1], centroid[0]] = 7
    crop = CentroidCrop(size, seg_pad_val=99)
    for seed in range(10):
        np.random.seed(seed)
        out = crop(dict(img=image, gt_seg_map=labels, seg_fields=['gt_seg_map'], centroid=centroid))
        assert out['img'].shape == (*size, 3) and out['gt_seg_map'].shape == size
        assert centroid is None or (out['gt_seg_map'] == 7).sum() == 1
        kept = min(size[0], 40) * min(size[1], 60)
        assert (out['gt_seg_map'] == 99).sum() == size[0] * size[1] - kept
