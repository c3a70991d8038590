"""tools/check_env.py: what is missing or out of range comes with the command that mends it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / 'tools/check_env.py'
spec = importlib.util.spec_from_file_location('check_env', TOOL)
check_env = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_env)


@pytest.mark.parametrize(
    ('version', 'numbers'),
    [('2.13.0+cpu', (2, 13, 0)), ('1.10.27', (1, 10, 27)), ('3.0rc1', (3, 1)), ('dev', ())],
)
def test_release(version, numbers):
    assert check_env.release(version)[:2] == numbers[:2]


@pytest.mark.parametrize(
    ('installed', 'mends'),
    [('1.10.27', ''), ('2.11.0', 'pydantic<2'), (None, 'pydantic<2')],
)
def test_mismatch_names_the_command(monkeypatch, installed, mends):
    monkeypatch.setattr(check_env, 'installed_version', lambda names: installed)
    name, shown, tested, command = check_env.check_package('pydantic')
    assert (name, shown, tested) == ('pydantic', installed or 'missing', '1.10.27')
    assert bool(command) == bool(mends) and mends in command


def test_this_environment_is_right():
    done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if line.strip()}
    assert rows.keys() >= {'python', *check_env.PACKAGES} and {rows[name] for name in check_env.PACKAGES} == {
        'ok'
    }
    assert 'CPU only' in done.stdout or 'CUDA ' in done.stdout
