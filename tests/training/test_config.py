"""What tools/train.py changes in a config, and what it goes on from."""

import os
import shutil
import time

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop
from tiny_training import run_tiny, tiny_config

from mmroad.runtime.training import go_on, make_resumable


def test_names_of_mmengine_become_ours():
    cfg = Config(tiny_config('x'))
    make_resumable(cfg)
    assert cfg.default_hooks.checkpoint.type == 'DurableCheckpointHook'
    assert cfg.train_cfg.type == 'ResumableEpochLoop' and cfg.custom_hooks[-1] == dict(type='DivergenceHook')
    assert 'mmroad.runtime.training' in cfg.custom_imports['imports']
    again = cfg.copy()
    make_resumable(again)
    assert again.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'train_cfg, name',
    [
        (dict(by_epoch=True, max_epochs=1), 'ResumableEpochLoop'),
        (dict(by_epoch=False, max_iters=1), 'ResumableIterLoop'),
        (dict(type='IterBasedTrainLoop', max_iters=1), 'ResumableIterLoop'),
        (dict(type='mmengine.EpochBasedTrainLoop', max_epochs=1), 'ResumableEpochLoop'),
        (dict(type=IterBasedTrainLoop, max_iters=1), 'ResumableIterLoop'),
        (dict(type='MyLoop'), 'MyLoop'),
    ],
)
def test_loops(train_cfg, name):
    cfg = Config(tiny_config('x', train_cfg=train_cfg, default_hooks={}, custom_hooks=None))
    make_resumable(cfg)
    assert cfg.train_cfg.type == name and 'by_epoch' not in cfg.train_cfg
    assert cfg.default_hooks.checkpoint == dict(type='DurableCheckpointHook', interval=1)


@pytest.mark.parametrize('kind', ['CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook])
@pytest.mark.parametrize('place', ['default_hooks', 'custom_hooks'])
def test_checkpoint_hooks_by_any_name(kind, place):
    hook = dict(type=kind, interval=2, max_keep_ckpts=1)
    hooks = (
        dict(default_hooks=dict(checkpoint=hook)) if place == 'default_hooks' else dict(custom_hooks=[hook])
    )
    cfg = Config(tiny_config('x', **hooks))
    make_resumable(cfg)
    found = [*cfg.default_hooks.values(), *cfg.custom_hooks]
    assert any(h.type == 'DurableCheckpointHook' and h.get('interval') == 2 for h in found)
    assert not any(h.type == kind for h in found)


def test_hooks_of_others_stay():
    class CheckpointHook:
        pass

    cfg = Config(tiny_config('x', custom_hooks=[dict(type=CheckpointHook), dict(type='mine.CheckpointHook')]))
    make_resumable(cfg)
    assert [hook.type for hook in cfg.custom_hooks[:2]] == [CheckpointHook, 'mine.CheckpointHook']


def test_a_config_without_hooks_gets_ours():
    cfg = tiny_config('x')
    del cfg['default_hooks'], cfg['custom_hooks']
    cfg = Config(cfg)
    make_resumable(cfg)
    assert cfg.default_hooks.checkpoint == dict(type='DurableCheckpointHook', interval=1)


def test_a_config_without_checkpoints_stays_so():
    cfg = Config(tiny_config('x', default_hooks=dict(checkpoint=None)))
    make_resumable(cfg)
    assert cfg.default_hooks.checkpoint is None


@pytest.mark.parametrize('kept, want', [(1, 2), (2, 2), (5, 5), (-1, -1), (0, -1)])
def test_two_checkpoints_are_kept_at_least(kept, want):
    assert HOOKS.get('DurableCheckpointHook')(interval=1, max_keep_ckpts=kept).max_keep_ckpts == want


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    run_tiny(folder, randomness=dict(seed=3))
    return folder


def plain(folder, **changes):
    return Config(tiny_config(folder, **changes))


def test_load_from_is_kept_where_there_is_nothing_to_go_on_from(tmp_path):
    """A fine-tuning that is always called with --resume starts from its weights, not from scratch."""
    cfg = plain(tmp_path, load_from='weights.pth')
    said = go_on(cfg, 'auto')
    assert cfg.load_from == 'weights.pth' and cfg.resume is False and 'the training begins' in said[0]


def test_without_resume_nothing_is_looked_for(trained):
    cfg = plain(trained, load_from='weights.pth')
    assert go_on(cfg, None) == [] and cfg.load_from == 'weights.pth' and not cfg.resume


def test_a_file_a_folder_and_the_config_s_own(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained.parent)
    relative = f'{trained.name}/epoch_3.pth'
    for changes, resume, want in (
        ({}, relative, relative),
        ({}, str(trained), str(trained / 'epoch_4.pth')),
        (dict(resume=True, load_from=relative), None, relative),
        (dict(resume=True), None, str(trained / 'epoch_4.pth')),
    ):
        cfg = plain(trained if want.endswith('4.pth') else tmp_path, **changes)
        assert go_on(cfg, resume) == [f'going on from {want}']
        assert cfg.load_from == want and cfg.resume is True and cfg.randomness.seed == 3


def test_processes_that_are_started_again_go_on_from_this_job(trained, tmp_path, monkeypatch):
    work = tmp_path / 'work'
    shutil.copytree(trained, work)
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '0')
    monkeypatch.setenv('MMROAD_STARTED', str(time.time() - 60))
    assert go_on(plain(work), None) == []  # the first start of a new training
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    for path in work.glob('*.pth'):  # an earlier training in the same folder
        os.utime(path, (0, 0))
    assert go_on(plain(work), None) == []
    assert go_on(plain(work), str(work / 'epoch_3.pth')) == [f'going on from {work / "epoch_3.pth"}']
    assert go_on(plain(work), 'auto') == [f'going on from {work / "epoch_4.pth"}']
    os.utime(work / 'epoch_4.pth')
    assert go_on(plain(work), None) == [f'going on from {work / "epoch_4.pth"}']
    assert go_on(plain(work), str(work / 'epoch_3.pth')) == [f'going on from {work / "epoch_4.pth"}']


def test_a_checkpoint_of_another_number_of_processes_is_told(trained, tmp_path, caplog):
    content = torch.load(trained / 'epoch_3.pth', weights_only=True)
    content['progress']['world_size'] = 2
    torch.save(content, tmp_path / 'epoch_3.pth')
    runner, _ = run_tiny(tmp_path, 'auto')
    assert runner.iter == 24
    log = ''.join(p.read_text() for p in tmp_path.rglob('*.log'))
    assert 'written by 2 processes and goes on with 1' in log
