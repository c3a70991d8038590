"""What dist_train.sh and dist_test.sh hand on: every argument as it is, and how often processes are started again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def launch(tmp_path, tool, *args, **env):
    stand_in = tmp_path / 'python'
    stand_in.write_text(
        f'#!/bin/sh\n"exec" "{sys.executable}" "$0" "$@"\n'  # a "#!" line takes no blanks
        'import json, os, sys\n'
        'print(json.dumps([sys.argv[1:], os.environ.get("MMROAD_STARTED")]))\n'
    )
    stand_in.chmod(0o755)
    done = subprocess.run(
        ['bash', str(ROOT / 'tools' / tool), *args], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, 'PYTHON': str(stand_in), **env},
    )  # fmt: skip
    import json

    return json.loads(done.stdout)


OPTIONS = ['--cfg-options', 'a=/My Passport/x,y/', "b=('traffic light','car')"]


@pytest.mark.parametrize('restarts', [None, '3'])
def test_train(tmp_path, restarts):
    args, started = launch(
        tmp_path,
        'dist_train.sh',
        'my config.py',
        '2',
        *OPTIONS,
        **({'MAX_RESTARTS': restarts} if restarts else {}),
    )
    assert f'--max_restarts={restarts or 0}' in args and '--nproc_per_node=2' in args
    assert args[-len(OPTIONS) - 3 :] == ['my config.py', '--launcher', 'pytorch', *OPTIONS]
    assert 0 <= float(started) - 1.7e9 < 1e10


def test_test(tmp_path):
    args, _ = launch(tmp_path, 'dist_test.sh', 'config.py', 'my weights.pth', '2', *OPTIONS)
    assert args[-len(OPTIONS) - 4 :] == ['config.py', 'my weights.pth', '--launcher', 'pytorch', *OPTIONS]
