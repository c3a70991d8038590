"""The small video configs through mmengine's runner on a few scenes in motion."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from pycocotools import mask as coco_mask

from mmroad.rankseg.video.consistency import video_consistency
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.configs import configs_folder


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'road_scenes'
    write_dataset(root, train=1, val=1, ood=1, videos=5, frames=10, size=(96, 64))
    return root / 'videos'


def quick(cfg, work_dir):
    """Two iterations without workers."""
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir, cfg.log_level, cfg.randomness = str(work_dir), 'WARNING', dict(seed=0)
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize('name', ['mask2former_small_road_scenes_video', 'rankseg_small_road_scenes_video'])
def test_training_and_scores(name, videos, tmp_path):
    cfg = Config.fromfile(configs_folder() / f'rankseg/{name}.py')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = f'{videos}/'
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_evaluator.format_dir = str(tmp_path / 'png')
    runner = quick(cfg, tmp_path)
    runner.train()
    logged = set(runner.message_hub.log_scalars)
    assert {'train/loss_mask', 'train/d2.loss_dice'} <= logged
    assert ('train/loss_ml' in logged) == name.startswith('rankseg')
    scores = runner.test()
    assert ('ranking/recall@10' in scores) == name.startswith('rankseg')
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


def test_youtube_vis_from_training_to_the_result_file(tmp_path, write_ytvis):
    """The data config of YouTube-VIS with the small model."""
    rng = np.random.default_rng(0)
    content = write_ytvis(tmp_path, rng.integers(0, 256, (3, 30, 40, 3)).astype(np.uint8))
    content['annotations'].pop()
    (tmp_path / 'holdout.json').write_text(json.dumps(content))
    configs = configs_folder()
    cfg = Config.fromfile(configs / 'rankseg/rankseg_small_road_scenes_video.py')
    data = Config.fromfile(configs / '_base_/datasets/ytvis19.py')
    for key in ('train_dataloader', 'test_dataloader', 'test_evaluator'):
        cfg[key] = data[key]
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(tmp_path)
        (frames,) = [step for step in loader.dataset.pipeline if step.type == 'TransformBroadcaster']
        for step in frames.transforms:
            step.update({k: v for k, v in dict(scale=(64, 48), scales=[(64, 48)]).items() if k in step})
    cfg.test_dataloader.dataset.update(ann_file='holdout.json', data_prefix=dict(img_path='train/JPEGImages'))
    cfg.test_evaluator.update(ann_file=str(tmp_path / 'holdout.json'), format_dir=str(tmp_path / 'out'))
    cfg.model.update(task='instance', clip_length=2, overlap=1)
    cfg.model.track_head.num_classes = 40
    cfg.model.track_head.rank_seg.top_k = 12
    cfg.model.track_head.loss_cls.class_weight = [1.0] * 40 + [0.1]
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    runner = quick(cfg, tmp_path)
    runner.train()
    assert 'train/loss_ml' in runner.message_hub.log_scalars
    scores = runner.test()
    assert 0 <= scores['ytvis/AP'] <= 100
    tracks = json.loads((tmp_path / 'out/results.json').read_text())
    assert len(tracks) == 10 and {len(track['segmentations']) for track in tracks} == {3}
    assert all(track['video_id'] == 3 and 1 <= track['category_id'] <= 40 for track in tracks)
    assert coco_mask.decode(tracks[0]['segmentations']).shape == (30, 40, 3)
