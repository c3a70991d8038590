"""A process of a distributed training that is killed: torchrun starts all again, and they go on as if nothing was."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = ROOT / 'tests/training'

DIES = """
import os, signal
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class DiesOnce(Hook):
    def before_train_iter(self, runner, **kwargs):
        mark = Path(runner.work_dir) / 'died'
        if os.environ['RANK'] == '1' and runner.iter == 11 and not mark.exists() and 'DIES' in os.environ:
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def train(folder, work, **env):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return subprocess.run(
        ['bash', str(ROOT / 'tools/dist_train.sh'), str(folder / 'tiny.py'), '2', '--work-dir', str(work)],
        capture_output=True, text=True, timeout=400, cwd=ROOT,
        env={**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'PORT': str(port),
             'PYTHONPATH': f'{folder}:{TINY}', **env},
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_rank_costs_one_interval_at_most(tmp_path):
    sys.path.insert(0, str(TINY))
    from mmengine.config import Config
    from tiny_training import differences, tiny_config

    (tmp_path / 'dies_once.py').write_text(DIES)
    cfg = tiny_config('unused', by_epoch=False, randomness=dict(seed=3))
    del cfg['work_dir']
    cfg['custom_imports'] = dict(imports=['tiny_training', 'dies_once'], allow_failed_imports=False)
    cfg['custom_hooks'] = [*cfg['custom_hooks'], dict(type='DiesOnce')]
    Config(cfg).dump(tmp_path / 'tiny.py')
    whole = train(tmp_path, tmp_path / 'whole')
    assert whole.returncode == 0, whole.stdout[-2000:] + whole.stderr[-2000:]
    # an earlier training in the same folder is not gone on from
    (tmp_path / 'killed').mkdir()
    stale = tmp_path / 'killed/iter_24.pth'
    stale.write_bytes((tmp_path / 'whole/iter_24.pth').read_bytes())
    os.utime(stale, (0, 0))
    killed = train(tmp_path, tmp_path / 'killed', MAX_RESTARTS='1', DIES='1')
    assert killed.returncode == 0, killed.stdout[-2000:] + killed.stderr[-2000:]
    assert re.findall(r'going on from \S+/(iter_\d+.pth)', killed.stdout) == ['iter_9.pth']
    assert differences(tmp_path / 'whole/iter_24.pth', tmp_path / 'killed/iter_24.pth') == []
