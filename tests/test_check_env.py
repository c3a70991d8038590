"""tools/check_env.py: what is missing or out of range comes with the command that mends it."""

import subprocess
import sys
from pathlib import Path

import pytest

import mmroad
from mmroad.commands import check as check_env

TOOL = Path(__file__).parents[1] / 'tools/check_env.py'


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
    monkeypatch.setattr(check_env, 'installed', lambda names: installed and (names[0], installed))
    name, shown, tested, command = check_env.check_package('pydantic')
    assert (name, shown, tested) == ('pydantic', installed or 'missing', '1.10.27')
    assert bool(command) == bool(mends) and mends in command


@pytest.mark.parametrize(
    ('version', 'fine'), [((3, 9, 2), 0), ((3, 10, 0), 1), ((3, 13, 9), 1), ((3, 14, 0), 0)]
)
def test_python(monkeypatch, version, fine):
    monkeypatch.setattr(check_env.sys, 'version_info', version)
    assert bool(check_env.check_python()[3]) != bool(fine)


@pytest.mark.parametrize(
    ('version', 'fine'), [('2.3.1', 0), ('2.4.0', 1), ('2.14.1+cu130', 1), ('2.15.0', 0)]
)
def test_torch(monkeypatch, version, fine):
    monkeypatch.setattr(check_env, 'installed', lambda names: (names[0], version))
    assert bool(check_env.check_package('torch')[3]) != bool(fine)


def test_mmroad_of_another_tree_is_told(monkeypatch, tmp_path):
    assert not check_env.check_mmroad()[3]
    monkeypatch.setattr(check_env, 'PACKAGE', tmp_path)
    _, installed, _, command = check_env.check_mmroad()
    assert str(Path(mmroad.__file__).parent) in installed and '-e .' in command


def test_operators_that_do_not_compute(monkeypatch):
    monkeypatch.setattr(check_env.build_mmcv, 'probe', lambda cuda: 'undefined symbol: _ZN3c10')
    _, installed, _, command = check_env.check_ops()
    assert 'undefined symbol' in installed and 'build_mmcv.py' in command


def test_what_an_environment_keeps_and_lacks(monkeypatch):
    """Frameworks stay under any of their names and in any version; the rest is asked of pip."""
    here = {'torch': '2.4.1', 'mmcv': '2.1.0', 'mmdet': '3.0.0', 'pydantic': '2.1.0', 'torchvision': '0.19.1'}
    monkeypatch.setattr(
        check_env, 'installed', lambda names: next(((n, here[n]) for n in names if n in here), None)
    )
    assert sorted(check_env.pins()) == ['mmcv==2.1.0', 'mmdet==3.0.0', 'torch==2.4.1', 'torchvision==0.19.1']
    lacks = ' '.join(check_env.missing())
    assert 'onedl-mmengine' in lacks and 'onedl-mmsegmentation' in lacks and 'pydantic<2' in lacks
    assert 'onedl-mmdetection' not in lacks


def test_this_environment_is_right():
    done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if line.strip()}
    assert rows.keys() >= {'python', *check_env.PACKAGES} and {rows[name] for name in check_env.PACKAGES} == {
        'ok'
    }
    assert 'compute on the ' in done.stdout and sys.executable in done.stdout
