"""Segmentation configs for label maps and outliers of one's own."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmroad.labels.own.own_config import write_own_config
from mmroad.zoo.models import build_model

SMALL = 'rba_small_1dl_road_scenes'


@pytest.fixture(scope='module')
def rails(tmp_path_factory):
    """Twelve images with three classes, and four with outliers."""
    root, rng = tmp_path_factory.mktemp('own maps') / 'rails', np.random.default_rng(0)
    for folder, count in (('images', 12), ('outliers/images', 4)):
        (root / folder).mkdir(parents=True)
        masks = root / folder.replace('images', 'masks')
        masks.mkdir()
        for i in range(count):
            cv2.imwrite(str(root / folder / f'{i}.jpg'), rng.integers(0, 255, (64, 96, 3), np.uint8))
            mask = np.zeros((64, 96), np.uint8)
            mask[20:40, 30:60] = 1
            if folder == 'images':
                mask[40:, :] = 2
                mask[:4] = 255
            cv2.imwrite(str(masks / f'{i}.png'), mask)
    (root / 'classes.txt').write_text('sky\nrail\nverge\n')
    return root


def made(args):
    file, said = write_own_config(args)
    init_default_scope('mmseg')
    return Config.fromfile(file), said


def test_a_folder_of_maps_is_one_command(rails, options):
    cfg, said = made(options(SMALL, '--data', rails, '--val-split', 0.25))
    train, val = DATASETS.build(cfg.train_dataloader.dataset), DATASETS.build(cfg.val_dataloader.dataset)
    assert (len(train), len(val)) == (9, 3) and train.metainfo['classes'] == ('sky', 'rail', 'verge')
    assert train[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [0, 1, 2, 255]
    head = build_model(cfg).decode_head
    assert head.num_classes == 3 and head.cls_embed.out_features == 4 and head.class_weight == [1, 1, 1, 0.1]
    assert 'train: 9 images with masks, 9 looked through' in said and cfg.train_cfg.max_iters == 1000
    assert cfg.val_evaluator.type == 'IoUMetric' and '3 classes: sky, rail, verge' in said


def test_class_uniform_sampling_keeps_its_own_cache(rails, options, tmp_path):
    cfg, _ = made(options('deepv3plus_wrn38_cityscapes', '--data', rails, '--weights', 'none'))
    outer = cfg.train_dataloader.dataset
    assert outer.type == 'ClassUniformDataset' and outer.cache_file == str(tmp_path / 'run/own/centroids.npz')
    assert outer.dataset.type == 'BaseSegDataset' and cfg.model.decode_head.num_classes == 3


def test_auxiliary_heads_and_heads_in_a_row_have_the_classes_too(rails, options):
    cfg, _ = made(
        options('deeplabv3+_r50-d8_512x1024_40k_sem_seg_bdd100k', '--data', rails, '--weights', 'none')
    )
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == 3
    cfg, _ = made(options('pointrend_r50_512x1024_40k_sem_seg_bdd100k', '--data', rails, '--weights', 'none'))
    assert [head.num_classes for head in cfg.model.decode_head] == [3, 3]


def test_own_outliers_are_pasted(rails, options):
    name = 'rba_small_1dl_ood_road_scenes'
    words = ['--data', rails, '--outliers', rails / 'outliers', '--val-split', 0]
    cfg, said = made(options(name, *words))
    paste = next(step for step in cfg.train_dataloader.dataset.pipeline if step['type'] == 'PasteOutlier')
    assert paste.value == 1 and paste.img_dir == str(rails / 'outliers/images') and paste.img_suffix == '.jpg'
    paste.prob = 1
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert 254 in data[0]['data_samples'].gt_sem_seg.data.unique().tolist()
    assert any(line.startswith('outliers are pasted from 4 images') for line in said)
    alone, _ = made(options(name, '--outliers', rails / 'outliers'))
    assert alone.train_dataloader.dataset.type == 'BDD100KSemSegDataset'


def test_classes_of_json_have_colors_and_splits_have_folders(rails, options, tmp_path):
    data = tmp_path / 'split'
    for split, number in (('train', 0), ('val', 1)):
        for kind in ('images', 'masks'):
            (data / kind / split).mkdir(parents=True)
            suffix = 'jpg' if kind == 'images' else 'png'
            (data / kind / split / f'a.{suffix}').write_bytes(
                (rails / kind / f'{number}.{suffix}').read_bytes()
            )
    classes = [dict(name=n, color=[i, i, i]) for i, n in enumerate(('a', 'b', 'c'))]
    (data / 'classes.json').write_text(json.dumps(classes))
    cfg, _ = made(options(SMALL, '--data', data))
    assert cfg.train_dataloader.dataset.metainfo.palette == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert len(DATASETS.build(cfg.val_dataloader.dataset)) == 1


@pytest.mark.parametrize(
    ('change', 'words', 'message'),
    [
        (lambda d: (d / 'classes.txt').write_text('sky\nrail\n'), [], r'masks/0\.png: values 2'),
        (lambda d: (d / 'classes.txt').unlink(), [], r'has no classes\.txt'),
        (lambda d: (d / 'classes.txt').write_text('a\na\n'), [], 'stands twice'),
        (lambda d: (d / 'masks/3.png').unlink(), [], r'masks/3\.png: no such mask \(1 of 12'),
        (lambda d: (d / 'images/0.jpg').rename(d / 'images/0.png'), [], r'images end in \.jpg, \.png'),
        (lambda d: None, ['--image-size', '64x64'], '--image-size is for detectors'),
        (lambda d: None, ['--outliers', 'x'], 'pastes no outliers'),
    ],
)
def test_mistakes_are_named(rails, options, tmp_path, change, words, message):
    import shutil

    data = tmp_path / 'copy'
    shutil.copytree(rails, data)
    change(data)
    with pytest.raises((ValueError, OSError), match=message):
        write_own_config(options(SMALL, '--data', data, *words))


def test_masks_of_several_marks_are_refused(rails, options, tmp_path):
    import shutil

    shutil.copytree(rails, tmp_path / 'copy')
    with pytest.raises(ValueError, match=r'values 1 \(0\.png\), 2 \(0\.png\); one value is to mark outliers'):
        write_own_config(options('rba_small_1dl_ood_road_scenes', '--outliers', tmp_path / 'copy'))
