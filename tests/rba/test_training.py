"""The shipped small configs through mmengine's runner on a few synthetic scenes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from mmroad.anomaly.io import find_map, load_map
from mmroad.road_scenes.write import write_dataset

CONFIGS = Path(__file__).parents[2] / 'configs/rba'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'road_scenes'
    write_dataset(root, train=6, val=3, ood=2, size=(128, 96))
    return root


def config(name, scenes, work_dir, iters=2):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = loader.dataset.data_root.replace('data/road_scenes', str(scenes))
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_cfg.update(max_iters=iters, val_interval=iters)
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir, cfg.load_from, cfg.log_level = str(work_dir), None, 'WARNING'
    cfg.randomness = dict(seed=0)
    return cfg


def test_fine_tuning_with_pasted_outliers(scenes, tmp_path):
    cfg = config('rba_small_1dl_ood_road_scenes', scenes, tmp_path)
    (paste,) = [t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'PasteOutlier']
    paste.update(img_dir=str(scenes / 'ood/train/images'), mask_dir=str(scenes / 'ood/train/masks'), prob=1.0)
    runner = Runner.from_cfg(cfg)
    runner.train()
    optimized = {id(p) for group in runner.optim_wrapper.param_groups for p in group['params']}
    names = {k.split('.')[1] for k, v in runner.model.named_parameters() if id(v) in optimized}
    assert names == {'cls_embed', 'mask_embed'}
    history = runner.message_hub.log_scalars['train/decode.loss_outlier'].data[0]
    assert len(history) == 2 and (history > 0).all()
    assert (tmp_path / 'iter_2.pth').exists()


def test_anomaly_scores_of_the_test_loop_are_scikit_learns(scenes, tmp_path):
    cfg = config('rba_small_1dl_ood_road_scenes', scenes, tmp_path)
    cfg.test_evaluator.format_dir = str(tmp_path / 'maps')
    cfg.default_hooks.visualization.draw = True
    cfg.visualizer.name = 'pictures'  # mmengine would go on with the last runner's
    ours = Runner.from_cfg(cfg).test()
    masks = sorted((scenes / 'ood/val/masks').iterdir())
    labels = np.concatenate([np.array(Image.open(mask)).ravel() for mask in masks])
    maps = np.concatenate([load_map(find_map(tmp_path / 'maps', mask.stem)).ravel() for mask in masks])
    assert 0 < labels.mean() < 0.5
    # the files hold 16-bit scores, whose ties move the figures a little
    assert ours['anomaly/AP'] == pytest.approx(100 * average_precision_score(labels, maps), abs=0.2)
    assert ours['anomaly/AUROC'] == pytest.approx(100 * roc_auc_score(labels, maps), abs=0.2)
    for i, mask in enumerate(masks):
        (picture,) = tmp_path.rglob(f'test_{mask.stem}.jpg_{i + 1}.png')
        truth = np.array(Image.open(picture))[:, -128:]
        assert (truth == 255 * np.array(Image.open(mask))[..., None]).all()


def test_images_without_masks_are_run_for_their_maps(scenes, tmp_path):
    cfg = config('rba_small_1dl_ood_road_scenes', scenes, tmp_path)
    cfg.test_dataloader.dataset.layout = 'images'
    cfg.test_evaluator.update(format_only=True, format_dir=str(tmp_path / 'maps'), format_kind='smiyc')
    assert Runner.from_cfg(cfg).test() == {}
    images = sorted((scenes / 'ood/val/images').iterdir())
    for image in images:
        anomaly = load_map(tmp_path / f'maps/{image.stem}.hdf5')
        assert anomaly.dtype == np.float16 and anomaly.shape == np.array(Image.open(image)).shape[:2]
    assert len(list((tmp_path / 'maps').iterdir())) == len(images) == 2


def test_bridge_masks_score_the_same_with_the_official_evaluator(scenes, tmp_path):
    cfg = config('rba_small_1dl_road_scenes', scenes, tmp_path)
    cfg.test_evaluator.format_dir = str(tmp_path / 'out')
    ours = Runner.from_cfg(cfg).test()
    command = [sys.executable, '-m', 'bdd100k.eval.run', '-t', 'sem_seg', '--nproc', '1']
    command += ['-g', str(scenes / 'labels/sem_seg/masks/val'), '-r', str(tmp_path / 'out/masks')]
    subprocess.run([*command, '--out-file', str(tmp_path / 'official.json')], check=True, capture_output=True)
    official = json.loads((tmp_path / 'official.json').read_text())
    assert ours['mIoU'] == pytest.approx(official['IoU'][-1]['AVERAGE'], abs=1e-9)
    assert ours['pAcc'] == pytest.approx(official['pAcc'], abs=1e-9)
    frames = json.loads((tmp_path / 'out/sem_seg.json').read_text())
    assert len(frames) == 3
