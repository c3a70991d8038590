"""tools/setup_env.sh and tools/run_tests.sh: what they say without installing anything."""

import contextlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path):
    """A copy of what set-up reads."""
    for folder in ('tools', 'requirements'):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns('__pycache__'))
    for file in ('setup.cfg', 'setup.py'):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return str(path)


def setup(tree, *arguments, **env):
    return subprocess.run(
        ['bash', tree / 'tools/setup_env.sh', *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_help_and_unknown_options(tree):
    done = setup(tree, '--help')
    assert done.returncode == 0 and '--here' in done.stdout and 'set -e' not in done.stdout
    done = setup(tree, '--hear')
    assert done.returncode == 2 and '--hear' in done.stderr
    assert not (tree / '.venv').exists()


def test_a_python_that_is_not_supported_is_named(tree):
    done = setup(tree, PYTHON=script(tree / 'python3.9', 'exit 1'))
    assert done.returncode == 1 and 'python3.9' in done.stderr and '3.10 to 3.13' in done.stderr


def test_a_venv_of_another_python_is_not_deleted(tree):
    script(tree / '.venv/bin/python', '[ "$1" = --version ] && echo Python 3.9.1; exit 1')
    done = setup(tree)
    assert done.returncode == 1 and 'Python 3.9.1' in done.stderr and (tree / '.venv/bin/python').exists()


def test_an_environment_without_torch_is_not_filled(tree):
    python = script(tree / 'here', 'case "$*" in *torch*) exit 1 ;; *) exec python3 "$@" ;; esac')
    done = setup(tree, '--here', PYTHON=python)
    assert done.returncode == 1 and 'no torch' in done.stderr and not (tree / '.venv').exists()


def test_up_to_date_ends_at_once_and_changed_requirements_do_not(tree):
    script(
        tree / '.venv/bin/python', 'case "$*" in *"pip install"*) echo "$*" >>calls; exit 3 ;; esac; exit 0'
    )
    mark = subprocess.run(
        'cat requirements/*.txt setup.cfg setup.py | cksum', shell=True, cwd=tree, capture_output=True
    )
    (tree / '.venv/.requirements').write_bytes(mark.stdout)
    done = setup(tree)
    assert done.returncode == 0 and 'up to date' in done.stdout
    with open(tree / 'requirements/runtime.txt', 'a') as file:
        file.write('another\n')
    done = setup(tree, MMROAD_TORCH='2.8.0')
    assert done.returncode == 1 and 'setup.log' in done.stderr
    assert 'torch==2.8.0 -r requirements/build.txt' in (tree / 'calls').read_text()


def test_a_failed_step_ends_the_build_beside_it(tree):
    script(
        tree / '.venv/bin/python',
        'case "$*" in *--prepare*) echo $$ >pid; exec sleep 60 ;; '
        '*runtime.txt*) sleep 1; echo no wheel; exit 3 ;; esac',
    )
    done = setup(tree, MMROAD_TORCH='2.8.0')
    assert done.returncode == 1 and 'no wheel' in done.stderr
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int((tree / 'pid').read_text()))
        for _ in range(50):
            if process.status() == psutil.STATUS_ZOMBIE:  # ended; nobody waited for it
                break
            time.sleep(0.1)
        else:
            pytest.fail('the build goes on')


def test_what_the_build_said_is_shown_and_mmcv_is_then_installed(tree):
    script(
        tree / '.venv/bin/python',
        'case "$*" in *--prepare*) echo mmcv: compiled; exit 1 ;; *build_mmcv*) echo mmcv: computes ;; '
        '*"-m pip"*) echo "$*" >>calls ;; esac',
    )
    done = setup(tree, MMROAD_TORCH='2.8.0')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.index('mmcv: compiled') < lines.index('mmcv: computes')
    assert [line.split('pip ')[1].split()[-2:] for line in (tree / 'calls').read_text().splitlines()] == [
        ['-r', 'requirements/build.txt'],
        ['-r', 'requirements/tests.txt'],
        ['-e', '.'],
    ]
    assert 'up to date' in setup(tree).stdout


@pytest.mark.parametrize(
    ('arguments', 'asked'),
    [
        ([], '-m pytest -m not slow -n 1 --dist loadfile'),
        (['--fast'], '--fast'),
        (['-k', 'scalabel'], '-m pytest -k scalabel'),
    ],
)
def test_run_tests_passes_its_arguments(tree, arguments, asked):
    script(tree / 'tools/setup_env.sh', '')
    script(tree / 'tools/setup_browser.sh', '')
    script(tree / '.venv/bin/python', '[ "$1" = -c ] && echo 1 || echo "$*"')
    done = subprocess.run(['bash', tree / 'tools/run_tests.sh', *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and asked in done.stdout
    assert ('-n 1' in done.stdout) == (arguments in ([], ['--fast']))


def test_fast_takes_the_quickest_files_and_the_longest_run_first(tmp_path):
    """On a made test folder: what is chosen, in which order, and what --record writes."""
    shutil.copy(ROOT / 'tests/conftest.py', tmp_path / 'conftest.py')
    for name in 'abcd':
        (tmp_path / f'test_{name}.py').write_text('def test():\n    sum(range(3_000_000))\n')
    fast = runpy.run_path(str(ROOT / 'tests/conftest.py'))['FAST']
    shares = zip('abc', (0.6, 0.39, 0.61))
    times = {f'{tmp_path.name}/test_{name}.py': share * fast for name, share in shares}
    (tmp_path / 'durations.json').write_text(json.dumps(times))

    def run(*arguments):
        command = [
            sys.executable,
            '-m',
            'pytest',
            '-v',
            '--color=no',
            f'--rootdir={tmp_path.parent}',
            *arguments,
            tmp_path,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        return re.findall(r'test_(\w)\.py::test PASSED', done.stdout)

    assert run() == ['c', 'a', 'b', 'd']
    assert run('--fast') == ['a', 'b']
    run('--record')
    assert {Path(name).stem[-1] for name in json.loads((tmp_path / 'durations.json').read_text())} == {
        *'abcd'
    }
    assert max(json.loads((tmp_path / 'durations.json').read_text()).values()) < 30
