"""The small pair through mmengine's runner on a few synthetic scenes, and inference on images and a video."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmroad.files.sources import LeftOut
from mmroad.inference.segmentation import ImageInferencer, outlined
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import init_model

ROOT = configs_folder().parent
SMALL = str(configs_folder() / 'rankseg/rankseg_small_road_scenes.py')


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'road_scenes'
    write_dataset(root, train=6, val=3, ood=1, size=(128, 96))
    return root


@pytest.fixture(scope='module')
def trained(scenes, tmp_path_factory):
    """Two iterations, scored: the runner and its scores."""
    cfg = get_config(SMALL)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(scenes)
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.env_cfg.dist_cfg.backend, cfg.log_level = 'gloo', 'WARNING'
    cfg.work_dir = str(tmp_path_factory.mktemp('run'))
    cfg.randomness = dict(seed=0)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner, runner.val_loop.run()


def test_training_scores_classes_and_rankings(trained):
    runner, scores = trained
    assert {'mIoU', 'ranking/AP', 'ranking/recall@5', 'ranking/precision@10'} <= set(scores)
    assert 0 < scores['ranking/recall@5'] <= scores['ranking/recall@10'] <= 100
    moved = runner.model.decode_head.rank_seg.ml_head.fc.b.detach()
    assert torch.isfinite(moved).all()


def test_results_are_written_in_bdd100ks_form(trained, scenes, tmp_path):
    command = [sys.executable, str(ROOT / 'tools/test.py'), SMALL, f'{trained[0].work_dir}/iter_2.pth']
    command += [
        '--format-only',
        '--format-dir',
        str(tmp_path),
        '--work-dir',
        str(tmp_path / 'log'),
        '--cfg-options',
    ]
    command += [f'test_dataloader.dataset.data_root={scenes}', 'test_dataloader.num_workers=0']
    command += ['test_dataloader.persistent_workers=False']
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    frames = json.loads((tmp_path / 'sem_seg.json').read_text())
    masks = sorted((tmp_path / 'masks').iterdir())
    assert len(frames) == len(masks) == 3
    assert cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED).shape == (96, 128)


def test_images_and_videos(trained, scenes, tmp_path):
    model = init_model(SMALL, f'{trained[0].work_dir}/iter_2.pth')
    inferencer = ImageInferencer(model)
    folder = scenes / 'images/10k/val'
    results = list(inferencer.run(folder, tmp_path / 'out', progress=False))
    assert [r.name for r in results] == sorted(p.name for p in folder.iterdir())
    for result in results:
        stem = result.name.removesuffix('.jpg')
        png = cv2.imread(str(tmp_path / f'out/classes/{stem}.png'), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(png, result.classes) and result.segments is None
        assert sorted(result.ranking) == sorted(model.dataset_meta['classes'])
        assert (
            cv2.imread(str(tmp_path / f'out/pictures/{stem}.jpg')).shape
            == result.picture.shape
            > (96, 128, 3)
        )
    video = cv2.VideoWriter(str(tmp_path / 'drive.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 5, (128, 96))
    for path in sorted(folder.iterdir()):
        video.write(cv2.imread(str(path)))
    video.release()
    assert len(list(inferencer.run(tmp_path / 'drive.mp4', tmp_path / 'video', progress=False))) == 3
    written = cv2.VideoCapture(str(tmp_path / 'video/drive.mp4'))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and written.get(cv2.CAP_PROP_FPS) == 5
    assert not (tmp_path / 'video/pictures').exists()


def test_videos_of_a_folder_and_images_that_cannot_be_used(tmp_path):
    inferencer = ImageInferencer(init_model(SMALL))
    for cam in ('cam1', 'cam2'):
        (tmp_path / 'in' / cam).mkdir(parents=True)
        video = cv2.VideoWriter(
            str(tmp_path / f'in/{cam}/drive.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48)
        )
        for _ in range(3 if cam == 'cam1' else 2):
            video.write(np.zeros((48, 64, 3), np.uint8))
        video.release()
    (tmp_path / 'in/cam1/0.png').write_bytes(b'')
    cv2.imwrite(str(tmp_path / 'in/cam1/1.png'), np.zeros((1, 900, 3), np.uint8))
    run = inferencer.run(tmp_path / 'in', tmp_path / 'out', progress=False)
    with pytest.warns(LeftOut, match=r'cam1/0\.png is left out'):
        results = list(run)
    assert [result.name for result in results] == [
        'cam1/1.png', *(f'cam1/drive_00000{i}.jpg' for i in range(3)), *(f'cam2/drive_00000{i}.jpg' for i in range(2)),
    ]  # fmt: skip
    for cam, frames in (('cam1', 3), ('cam2', 2)):
        written = cv2.VideoCapture(str(tmp_path / f'out/pictures/{cam}/drive.mp4'))
        assert written.get(cv2.CAP_PROP_FRAME_COUNT) == frames and written.get(cv2.CAP_PROP_FPS) == 10
        assert len(list((tmp_path / 'out/classes' / cam).glob('drive_*.png'))) == frames
    assert not list((tmp_path / 'out').rglob('.*'))
    for _ in inferencer.run(tmp_path / 'in/cam1/drive.avi', tmp_path / 'one', progress=False):
        break
    assert cv2.VideoCapture(str(tmp_path / 'one/drive.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 1
    gray = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    assert np.array_equal(inferencer(gray).classes, inferencer(cv2.merge([gray] * 3)).classes)
    with pytest.raises(ValueError, match='of bool'):
        inferencer(gray > 3)


def test_oracles_are_refused_and_panoptic_models_give_segments():
    small = dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), style='pytorch', init_cfg=None
    )
    name = 'rankseg/maskformer2_swin_large_IN21k_384_bs16_160k-{}_ade20k_panoptic.py'

    def build(kind):
        cfg = get_config(str(configs_folder() / name.format(kind)))
        cfg.model.backbone = small
        cfg.model.panoptic_head.update(in_channels=[64, 128, 256, 512], num_queries=20)
        torch.manual_seed(0)
        return init_model(cfg)

    with pytest.raises(ValueError, match='oracle mode'):
        ImageInferencer(build('gt'))
    inferencer = ImageInferencer(build('rankseg'))
    inferencer.pipeline.transforms[1].scale = (256, 96)
    result = inferencer(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    assert result.classes.shape == result.segments.shape == (60, 90) and len(result.ranking) == 150


def test_borders_between_segments():
    picture = outlined(np.zeros((3, 4, 3), np.uint8), np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3]]))
    assert (picture[..., 0] == 255).tolist() == [
        [False, False, True, False],
        [False, False, True, False],
        [True, True, True, True],
    ]
