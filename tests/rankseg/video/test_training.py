"""The small video configs through mmengine's runner on a few scenes in motion."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmroad.rankseg.video.consistency import video_consistency
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo import configs_folder


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'road_scenes'
    write_dataset(root, train=1, val=1, ood=1, videos=5, frames=10, size=(96, 64))
    return root / 'videos'


@pytest.mark.parametrize('name', ['mask2former_small_road_scenes_video', 'rankseg_small_road_scenes_video'])
def test_training_and_scores(name, videos, tmp_path):
    cfg = Config.fromfile(configs_folder() / f'rankseg/{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = f'{videos}/'
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.default_hooks.logger.interval = 1
    cfg.test_evaluator.format_dir = str(tmp_path / 'png')
    cfg.work_dir, cfg.log_level, cfg.randomness = str(tmp_path), 'WARNING', dict(seed=0)
    runner = Runner.from_cfg(cfg)
    runner.train()
    logged = set(runner.message_hub.log_scalars)
    assert {'train/loss_mask', 'train/d2.loss_dice'} <= logged
    assert ('train/loss_ml' in logged) == name.startswith('rankseg')
    scores = runner.test()
    assert ('recall@10' in scores) == name.startswith('rankseg')
    # the files, read by another reader, score the same
    gts, preds = [], []
    for t in range(10):
        gts.append(cv2.imread(str(videos / f'data/video-0004/mask/{t:08d}.png'), cv2.IMREAD_UNCHANGED))
        preds.append(cv2.imread(str(tmp_path / f'png/video-0004/{t:08d}.png'), cv2.IMREAD_UNCHANGED))
    gts, preds = np.stack(gts), np.stack(preds)
    known = gts < 19
    assert scores['pAcc'] == pytest.approx(100 * (gts == preds)[known].mean())
    assert scores['VC8'] == pytest.approx(100 * video_consistency(gts, preds, 8).mean())
    ious = []
    for c in np.unique(gts[known]):
        a, b = gts == c, (preds == c) & known
        ious.append((a & b).sum() / (a | b).sum())
    assert scores['mIoU'] == pytest.approx(100 * np.mean(ious))
