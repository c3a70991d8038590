"""The mutation run, over a tiny module of its own."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location('mutation', Path(__file__).with_name('mutation.py'))
mutation = importlib.util.module_from_spec(spec)
sys.modules['mutation'] = mutation
spec.loader.exec_module(mutation)

MODULE = """
LIMIT: int = 3


def few(values):
    print(values)
    if len(values) < LIMIT:
        return True
    return False
"""
TESTS = """
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.environ['PYTHONPATH'], 'projects'))


@pytest.fixture(scope='module')
def found():
    import tiny
    return tiny.few([1])


def test_first(found):
    pass


def test_one(found):
    assert found is True


def test_many():
    from tiny import few
    assert few([1] * 9) is False


def test_elsewhere():
    code = 'from tiny import few; few([1] * 9)'
    folder = os.path.join(os.environ['PYTHONPATH'], 'projects')
    paths = os.pathsep.join([os.environ['PYTHONPATH'], folder])
    subprocess.run([sys.executable, '-c', code], check=True, env={**os.environ, 'PYTHONPATH': paths})


def test_that_fails():
    from tiny import few
    assert few([]) is False
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for folder in ('projects', 'tests', 'configs', 'tools', 'copy'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'projects/tiny.py').write_text(MODULE)
    (tmp_path / 'tests/test_tiny.py').write_text(TESTS)
    monkeypatch.setattr(mutation, 'ROOT', tmp_path)
    monkeypatch.setattr(mutation, 'import_frameworks', lambda: None)
    for name in ('OMP_NUM_THREADS', 'PYTHONDONTWRITEBYTECODE', 'PYTHONPATH'):
        monkeypatch.setenv(name, '1')
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_change_is_noticed_or_survives(tree, capsys):
    rows = [
        dict(path='tiny.py', before='    if len(values) < LIMIT:\n', after='    if len(values) > LIMIT:\n'),
        dict(path='tiny.py', before='    print(values)\n', after=''),
        dict(path='tiny.py', before='    gone\n', after=''),
    ]
    (tree / 'list.json').write_text(json.dumps(rows))
    changes = mutation.listed(tree / 'list.json')
    assert "'gone' is not there (or more than once): left out" in capsys.readouterr().out
    tests = [tree / 'tests/test_tiny.py']
    tests[0].write_text(TESTS.partition('def test_that_fails')[0])
    fates = mutation.run(changes, tree / 'copy', tests)
    assert [(change.line, fate) for change, fate in fates] == [(6, 'survived'), (7, 'killed')]
    assert 'survived tiny.py:6' in capsys.readouterr().out
    assert (tree / 'projects/tiny.py').read_text() == MODULE == (tree / 'copy/projects/tiny.py').read_text()


def test_the_tests_of_a_change_are_those_that_execute_it(tree, monkeypatch, capsys):
    """A fixture's lines are those of all its tests, a constant those of all that use the module."""
    pytest.importorskip('cosmic_ray')
    pytest.importorskip('coverage')
    operators = ['NumberReplacer', 'ReplaceComparisonOperator_Lt_LtE', 'ReplaceTrueWithFalse']
    monkeypatch.setattr(mutation, 'OPERATORS', operators)
    changes = mutation.drawn(['tiny.py'], 99, seed=0)
    fates = {(c.line, c.what, c.after.strip()): fate for c, fate in mutation.run(changes, tree / 'copy')}
    survived = {key for key, fate in fates.items() if fate == 'survived'}
    assert survived == {
        (2, 'NumberReplacer', 'LIMIT: int = 4'),
        (2, 'NumberReplacer', 'LIMIT: int = 2'),
        (6, 'DropLine', 'pass'),
        (7, 'ReplaceComparisonOperator_Lt_LtE', 'if len(values) <= LIMIT:'),
    }
    assert {line for line, *_ in fates} == {2, 6, 7, 8}
    (kept,) = (tree / '.mutation_cache').iterdir()
    measured = json.loads(kept.read_text())['tests']
    in_body = {test.split('::')[-1]: 8 in of['lines']['tiny.py'] for test, of in measured.items()}
    assert 'test_that_fails fails without any change: left out' in capsys.readouterr().out
    assert in_body == {'test_first': True, 'test_one': True, 'test_many': False, 'test_elsewhere': False}
    (elsewhere,) = [of for test, of in measured.items() if test.endswith('test_elsewhere')]
    assert {6, 7, 9} <= set(elsewhere['lines']['tiny.py'])  # of the process that it starts


def test_a_process_that_does_not_end_is_ended(tree):
    import time

    assert mutation.in_fork(lambda: 3, 5) == 3
    began = time.monotonic()
    assert (
        mutation.in_fork(lambda: time.sleep(60) or 0, 0.05) is None
    )  # by the clock, which a busy machine stretches
    assert time.monotonic() - began < 30
    assert mutation.waited(mutation.os.getpid()) >= 0 and mutation.waited(2**30) == 0
