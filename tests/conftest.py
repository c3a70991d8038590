"""Which test files run, and in which order, by the CPU seconds that each took (tests/durations.json).

`--fast` takes the quickest files, as many as make FAST seconds together (not those that were never measured);
`--record` writes what each took. The longest come first, so that workers (pytest-xdist) end together.
"""

import json
import os
import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name('durations.json')
FAST = 60.0  # CPU seconds: under 90 s in two workers, with the seconds that each takes to import torch


def pytest_addoption(parser):
    group = parser.getgroup('mmroad')
    group.addoption('--fast', action='store_true', help=f'the quickest files, {FAST:g} CPU seconds of them')
    group.addoption('--record', action='store_true', help=f'write {RECORD.name} if all tests pass')


def recorded():
    """File name, as in a test's id, to CPU seconds."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def quick(seconds):
    """The quickest of the recorded files, FAST seconds of them."""
    files = sorted(seconds, key=lambda file: (seconds[file], file))
    return {file for file, total in zip(files, accumulate(map(seconds.get, files))) if total <= FAST}


def pytest_ignore_collect(collection_path, config):
    if config.getoption('fast') and collection_path.match('test_*.py'):
        return True if collection_path not in {config.rootpath / file for file in quick(recorded())} else None


def pytest_collection_modifyitems(items):
    seconds = recorded()
    items.sort(key=lambda item: -seconds.get(item.nodeid.split('::')[0], 0))


@pytest.fixture(scope='module', autouse=True)
def no_scope_of_another_file():
    """mmengine's default scope, which outlives a test, is none when a file begins: files run in any order."""
    if module := sys.modules.get('mmengine.registry.default_scope'):
        module.DefaultScope._instance_dict.clear()


def cpu():
    """CPU seconds of this process and of the processes it has waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    now, before = cpu(), getattr(item.config, 'cpu_before', None)
    item.config.cpu_before = now
    # An attribute of the report travels with it from the workers.
    report.cpu = call.duration if before is None else now - before
    return report


def pytest_configure(config):
    if config.getoption('fast') and not RECORD.exists():
        raise pytest.UsageError(f'--fast needs {RECORD}: write it with bash tools/run_tests.sh --record')
    if config.getoption('record') and not hasattr(config, 'workerinput'):
        config.pluginmanager.register(Recorder(), 'record-durations')


class Recorder:
    """Adds up what each file took, and writes it."""

    def __init__(self):
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid.split('::')[0]] += report.cpu

    def pytest_sessionfinish(self, exitstatus):
        if exitstatus == 0:
            merged = {**recorded(), **{file: round(taken, 1) for file, taken in self.seconds.items()}}
            merged = {file: taken for file, taken in sorted(merged.items()) if (ROOT / file).exists()}
            RECORD.write_text(json.dumps(merged, indent=0) + '\n')
