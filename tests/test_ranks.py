"""Which process is waited for."""

import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import pytest
from torch.distributed import HashStore, TCPStore, rendezvous

from mmroad import get_config
from mmroad.commands.running import _join_over_gloo, load_config
from mmroad.runtime.ranks import MEETING, RankWatch, Report, waited_for


def report(step=5, waits=True, time=100.0, place='all_reduce (x.py:1)', host='node, process 1'):
    return Report(time, step, waits, place, host)


@pytest.mark.parametrize(
    'reports, ranks, why',
    [
        ({0: report()}, '1', 'not started or not yet'),
        ({1: report()}, '0', 'not started or not yet'),
        ({0: report(), 1: report(waits=False)}, '1', 'the others wait'),
        ({0: report(waits=False), 1: report(), 2: report()}, '0', 'the others wait'),
        ({0: report(), 1: report(step=4)}, '1', 'further on'),
        ({0: report(waits=False), 1: report(waits=False, step=4)}, '1', 'further on'),
        ({0: report(), 1: report(waits=False, time=60), 2: report(waits=False)}, '1', 'not heard of since'),
        ({0: report(), 1: report(time=60), 2: report(time=69)}, '1, 2', 'not heard of since'),
        ({0: report(), 1: report()}, '0, 1', 'do not belong together'),
    ],
)
def test_who_is_waited_for(reports, ranks, why):
    sentence = waited_for(reports, max(2, len(reports)), silence=30)
    assert sentence.startswith(f'waiting for rank {ranks}') and why in sentence


def test_nothing_is_said_where_all_are_at_work():
    assert waited_for({0: report(waits=False), 1: report(waits=False)}, 2, silence=30) == ''


def test_step_host_and_place_are_said():
    sentence = waited_for({0: report(), 1: report(waits=False, step=7, place='sleep (data.py:3)')}, 2, 30)
    assert 'rank 1 (node, process 1) is at step 7, in sleep (data.py:3)' in sentence


def test_a_watch_speaks_once_a_stop(capfd):
    store = HashStore()
    watch = RankWatch(0, 2, lambda: store, patience=0.3).start()
    store.set('1', msgspec.json.encode(report(waits=False, time=time.time() + 1e6)))
    time.sleep(1.0)
    assert capfd.readouterr().err.count('no progress for') == 1
    watch.move()
    time.sleep(0.15)
    assert capfd.readouterr().err == ''
    time.sleep(0.5)
    watch.stop()
    assert capfd.readouterr().err.count('no progress for') == 1
    assert msgspec.json.decode(store.get('0'), type=Report).step == 1


def test_where_moves_nothing_is_said(capfd):
    store = HashStore()
    watch = RankWatch(0, 2, lambda: store, patience=0.3).start()
    for _ in range(12):
        watch.move()
        time.sleep(0.05)
    watch.stop()
    assert capfd.readouterr().err == ''


HANGS = """
import os, sys, time, datetime
from mmroad.commands.running import _join_over_gloo
if os.environ['RANK'] == '1' and 'late' in sys.argv:
    time.sleep(30)
_join_over_gloo('pytorch', 4)
import torch
from torch.distributed import all_reduce
all_reduce(torch.ones(1))
if os.environ['RANK'] == '1':
    time.sleep(30)
all_reduce(torch.ones(1))
"""


@pytest.mark.parametrize('how', ['hangs', pytest.param('late', marks=pytest.mark.slow)])
def test_a_rank_that_hangs_is_named_and_given_up(how):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        'WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'OMP_NUM_THREADS': '1',
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, '-c', HANGS, how],
            env={**env, 'RANK': str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        _, said = ranks[0].communicate(timeout=60)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    assert ranks[0].returncode not in (0, -9)
    if how == 'hangs':
        assert (
            'waiting for rank 1: rank 1 (' in said
            and 'in <module> (<string>:' in said
            and 'collective' in said
        )
    else:
        assert 'waiting for rank 1, not started or not yet at the meeting point' in said


@pytest.mark.parametrize('timeout', [0, -1, 'soon', True])
def test_a_timeout_is_seconds(timeout):
    with pytest.raises(SystemExit, match='env_cfg.dist_cfg.timeout is in seconds'):
        _join_over_gloo('pytorch', timeout)


def test_who_is_started_again_does_not_meet_the_dead(monkeypatch):
    """torchrun keeps its store; a process that was faster than the others found where those of before had been."""
    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    env = dict(RANK='1', WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(store.port))
    for name, value in {**env, 'TORCHELASTIC_USE_AGENT_STORE': 'True'}.items():
        monkeypatch.setenv(name, value)

    def meet(start):
        monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', start)
        met, rank, world_size = next(rendezvous(MEETING, timeout=timedelta(seconds=20)))
        assert (rank, world_size) == (1, 2)
        return met

    meet('0').set('address of rank 0', 'gone')
    assert meet('0').check(['address of rank 0']) and not meet('1').check(['address of rank 0'])
    joined = []
    monkeypatch.setattr('torch.distributed.init_process_group', lambda *args, **kwargs: joined.append(kwargs))
    monkeypatch.setattr('mmroad.runtime.ranks.watch', lambda timeout: None)
    _join_over_gloo('pytorch', 5)
    assert joined == [dict(init_method=MEETING, timeout=timedelta(seconds=5))]


@pytest.mark.parametrize('env_cfg', [None, dict(dist_cfg=None), dict(dist_cfg=dict(backend='nccl'))])
def test_mmengine_joins_there_too_on_gpus(monkeypatch, env_cfg):
    config = get_config('faster_rcnn_r18_fpn_quickstart')
    config.env_cfg = env_cfg
    monkeypatch.setattr('mmroad.zoo.configs.get_config', lambda name: config.copy())
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('mmroad.runtime.ranks.watch', lambda timeout: None)
    monkeypatch.setenv('LOCAL_RANK', '0')
    args = SimpleNamespace(
        local_rank=0, config='faster_rcnn_r18_fpn_quickstart', cfg_options=None, work_dir=None
    )
    for launcher, want in dict(pytorch=MEETING, none=None, slurm=None).items():
        args.launcher = launcher
        found = (load_config(args).get('env_cfg') or {}).get('dist_cfg') or {}
        assert found.get('init_method') == want and found.get('backend', 'nccl') == 'nccl'
