"""One real training step and one real prediction of a detector of each of the zoo's 17 groups."""

import json
import math
import sys

import pytest
import torch
import yaml
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch.nn.modules.batchnorm import _BatchNorm

from mmroad.bdd100k.scalabel import load_frames
from mmroad.commands.running import _prepare_for_cpu
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import without_initial_weights

MODELS = yaml.safe_load((configs_folder() / 'det/metafile.yml').read_text())['Models']
FIRST = {m['In Collection']: m['Name'] for m in reversed(MODELS)}  # the smallest of each group
QUICK = {'RetinaNet', 'Sparse R-CNN'}
CASES = [
    pytest.param(name, id=group, marks=[] if group in QUICK else pytest.mark.slow)
    for group, name in sorted(FIRST.items())
]
SIZE = (160, 96)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_dataset(root, train=2, val=1, ood=1, size=SIZE)
    return root


def small_config(name, scenes, work_dir):
    """The config as it is but for the data, their size, the device and initial weights."""
    cfg = get_config(name)
    import_modules_from_strings(**cfg.custom_imports)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{scenes}/'
        for step in loader.dataset.pipeline:
            if step.type == 'Resize':
                step.scale = SIZE
            elif step.type == 'RandomChoiceResize':
                step.scales = [SIZE]
    cfg.train_dataloader.dataset.image_size = SIZE
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.max_epochs = 1
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_evaluator.update(format_only=True, format_dir=str(work_dir / 'out'))
    thresholds = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
    if 'score_thr' in thresholds:
        thresholds.score_thr = 0.0  # an untrained model is sure of nothing
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.logger.interval = 1
    cfg.model = without_initial_weights(cfg.model)
    cfg.update(work_dir=str(work_dir), log_level='WARNING', randomness=dict(seed=0), launcher='none')
    _prepare_for_cpu(cfg)
    return cfg


def settle(backbone):
    """Normalization statistics of an image: with 0 and 1, which no trained network has, an untrained deep
    one (HRNet) overflows every box."""
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        backbone(torch.randn(2, 3, *SIZE[::-1]))
    for norm in norms:
        norm.momentum = 0.1


@pytest.mark.parametrize('name', CASES)
def test_a_training_step_and_a_prediction(name, scenes, tmp_path, monkeypatch):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    runner = Runner.from_cfg(small_config(name, scenes, tmp_path))
    runner.model.init_weights()  # before its statistics; mmengine does it once
    settle(runner.model.backbone)
    runner.train()
    logged = runner.message_hub.log_scalars
    losses = {k: h.current() for k, h in logged.items() if k.startswith('train/') and 'loss' in k}
    assert runner.iter == 1 and len(losses) > 2 and all(math.isfinite(v) for v in losses.values()), losses
    assert losses['train/loss'] > 0
    runner.test()
    (frame,) = load_frames(tmp_path / 'out/det.json')
    assert 1 <= len(frame.labels) <= 100
    assert all(0 <= label.score <= 1 for label in frame.labels)
    official = official_scores(scenes, tmp_path, monkeypatch)
    assert 0 <= official['AP'][1]['OVERALL'] <= 100


def official_scores(scenes, folder, monkeypatch):
    from bdd100k.eval import run

    truth, out = scenes / 'labels/det_20/det_val.json', folder / 'official.json'
    options = ['-t', 'det', '-g', truth, '-r', folder / 'out/det.json', '--nproc', 1, '--out-file', out]
    monkeypatch.setattr(sys, 'argv', ['run', *map(str, options)])
    run.run()
    return json.loads(out.read_text())


def test_the_cases_are_the_17_groups():
    assert len(CASES) == 17
