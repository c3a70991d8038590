import contextlib
import json

import cv2
import numpy as np
import pytest

from mmroad.anomaly.datasets import AnomalyDataset
from mmroad.anomaly.io import find_map, load_map, save_map
from mmroad.anomaly.layouts import LAYOUTS, OBSTACLE_LEFT_OUT, find_pairs, read_mask


def image(path, value=0, shape=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*shape, 3) if path.suffix == '.jpg' else shape, value, np.uint8))


def make(layout, root):
    """One small data set of a layout; returns the number of its pairs."""
    if layout == 'road_anomaly':
        for name in ('a', 'b'):
            image(root / f'RoadAnomaly_jpg/frames/{name}.jpg')
            image(root / f'RoadAnomaly_jpg/frames/{name}.labels/labels_semantic.png', 2)
        (root / 'RoadAnomaly_jpg/frame_list.json').write_text(json.dumps(['a.jpg', 'b.jpg']))
        return 2
    if layout in ('road_anomaly_synboost', 'masks'):
        images, masks = dict(masks=('images', 'masks')).get(layout, ('original', 'labels'))
        image(root / images / 'a.jpg')
        image(root / masks / 'a.png', 1)
        return 1
    if layout == 'fishyscapes_laf':
        image(root / 'fishyscapes_lostandfound/0003_04_Street_labels.png', 1)
        image(root / 'laf_images/04_Street_leftImg8bit.png')
        return 1
    if layout.startswith('fishyscapes_static'):
        v = layout[-1]
        image(root / f'fs_val_v{v}/0001_x_labels.png', 255)
        image(root / f'fs_static_images_v{v}/0001_x_rgb.png')
        return 1
    if layout.startswith('smiyc'):
        folder = dict(smiyc_anomaly='dataset_AnomalyTrack', smiyc_obstacle='dataset_ObstacleTrack')[layout]
        for name in ('validation_1', 'validation_19', 'validation_21'):
            image(root / folder / f'images/{name}.jpg')
            image(root / folder / f'labels_masks/{name}_labels_semantic.png', 1)
        image(root / folder / 'images/test_1.jpg')
        return 3 if layout == 'smiyc_anomaly' else 1
    image(root / 'leftImg8bit/test/street/a_leftImg8bit.png')
    image(root / 'gtCoarse/test/street/a_gtCoarse_labelTrainIds.png', 2)
    return 1


@pytest.mark.parametrize('layout', LAYOUTS)
def test_layouts_pair_images_with_masks(layout, tmp_path):
    number = make(layout, tmp_path)
    published = LAYOUTS[layout].images
    with (
        contextlib.nullcontext() if published is None else pytest.warns(UserWarning, match=f'set {published}')
    ):
        pairs = find_pairs(layout, tmp_path)
    assert len(pairs) == number and all(a.is_file() and b.is_file() for a, b in pairs)
    values = set(np.unique(read_mask(pairs[0][1], layout)))
    assert values == ({255} if 'static' in layout else {1})


def test_label_codes():
    assert LAYOUTS['lost_and_found'].labels == {1: 0, 2: 1} and LAYOUTS['road_anomaly'].labels == {
        0: 0,
        1: 1,
        2: 1,
    }
    assert len(OBSTACLE_LEFT_OUT) == 10


def test_images_without_masks_are_refused_by_name(tmp_path):
    make('masks', tmp_path)
    image(tmp_path / 'images/b.jpg')
    with pytest.raises(FileNotFoundError, match=r'b\.jpg: this image has no mask \(1 of 2 have none\)'):
        AnomalyDataset('masks', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='no images of fishyscapes_laf there; get them from https'):
        find_pairs('fishyscapes_laf', tmp_path)
    with pytest.raises(KeyError, match='no layout is called'):
        find_pairs('nowhere', tmp_path)


@pytest.mark.parametrize('kind', ['npz', 'png', 'smiyc'])
def test_maps_are_read_back(kind, tmp_path):
    if kind == 'smiyc':
        pytest.importorskip('h5py')
    anomaly = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    save_map(tmp_path / 'a', anomaly, kind)
    tolerance = dict(npz=0, png=(anomaly.max() - anomaly.min()) / 65535, smiyc=2e-3)[kind]
    assert np.abs(load_map(find_map(tmp_path, 'a')) - anomaly).max() <= tolerance
    with pytest.raises(FileNotFoundError, match='no anomaly map'):
        find_map(tmp_path, 'b')
