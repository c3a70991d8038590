"""Small changes to the package, one at a time, and whether the tests notice: ``bash tools/mutation.sh``.

Changes are cosmic-ray's (an operator, a bound, a number, a truth value, a loop) and a dropped line. cosmic-ray starts
pytest anew for each, of which importing torch and the frameworks is 10 to 20 s; here one process imports them once and
forks for each change. The package is changed in a copy, to which the fork's processes point too; the tests run are
those that execute the changed line (coverage.py), the quickest first, up to the first failure.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: The modules whose numbers people rely on.
CRITICAL = [
    'bdd100k', 'anomaly', 'checkpoint.py', 'weights.py', 'files', 'detic/losses.py', 'detic/metric.py',
    'detic/openimages.py', 'detic/sampler.py', 'detic/centernet_targets.py', 'detic/vocabulary.py', 'detic/swap.py',
    'rankseg/rank.py', 'rankseg/ranking_metrics.py', 'rankseg/video', 'rba/losses.py', 'rba/scores.py',
    'rba/outliers.py', 'abet/temperature.py', 'abet/losses.py', 'abet/scores.py', 'abet/ood_detection.py',
    'abet/meta_classification.py', 'abet/class_uniform.py', 'converters',
]  # fmt: skip
OPERATORS = [
    *(f'ReplaceComparisonOperator_{a}_{b}' for a, b in (
        ('Lt', 'LtE'), ('LtE', 'Lt'), ('Gt', 'GtE'), ('GtE', 'Gt'), ('Eq', 'NotEq'), ('NotEq', 'Eq'), ('Is', 'IsNot'),
        ('IsNot', 'Is'))),
    *(f'ReplaceBinaryOperator_{a}_{b}' for a, b in (
        ('Add', 'Sub'), ('Sub', 'Add'), ('Mul', 'Div'), ('Div', 'Mul'), ('FloorDiv', 'Mul'), ('Mod', 'Mul'),
        ('BitAnd', 'BitOr'), ('BitOr', 'BitAnd'), ('Pow', 'Mul'))),
    'ReplaceUnaryOperator_Delete_USub', 'ReplaceUnaryOperator_Delete_Not', 'ReplaceUnaryOperator_Delete_Invert',
    'AddNot', 'ReplaceTrueWithFalse', 'ReplaceFalseWithTrue', 'ReplaceAndWithOr', 'ReplaceOrWithAnd',
    'ReplaceBreakWithContinue', 'ReplaceContinueWithBreak', 'NumberReplacer', 'ZeroIterationForLoop',
]  # fmt: skip


class Change(NamedTuple):
    """One change of one file."""

    path: str  #: below projects/
    line: int
    what: str
    before: str  #: the line
    after: str
    source: str  #: the whole changed file


def dropped_lines():
    """cosmic-ray's form of an operator that replaces a simple statement by ``pass``."""
    import parso
    from cosmic_ray.operators.operator import Operator

    class DropLine(Operator):
        def mutation_positions(self, node):
            if node.type == 'simple_stmt' and node.children[0].type in ('expr_stmt', 'atom_expr', 'power'):
                yield node.start_pos, node.end_pos

        def mutate(self, node, index):
            indent = node.get_first_leaf().prefix
            return parso.parse(f'{indent}pass\n').children[0]

        @classmethod
        def examples(cls):
            return ()

    return DropLine()


def in_annotation(node) -> bool:
    """Whether a node is part of a type hint or of a test of ``TYPE_CHECKING``; changing those changes nothing."""
    while node is not None:
        parent = node.parent
        if parent is not None and parent.type in ('annassign', 'tfpdef', 'funcdef'):
            children = parent.children
            at = children.index(node)
            if parent.type == 'funcdef' and at and getattr(children[at - 1], 'value', '') == '->':
                return True
            if parent.type != 'funcdef' and at and getattr(children[at - 1], 'value', '') == ':':
                return True
        if node.type == 'if_stmt' and 'TYPE_CHECKING' in node.children[1].get_code():
            return True
        node = parent
    return False


def changes_of(path: Path) -> list[Change]:
    """Every change of a file."""
    from cosmic_ray.ast import Visitor, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = path.read_text()
    lines = source.splitlines()
    operators = [(name, get_operator(f'core/{name}')()) for name in OPERATORS] + [
        ('DropLine', dropped_lines())
    ]
    found = []
    for name, operator in operators:
        spots = []

        class Places(Visitor):
            def visit(self, node, spots=spots, operator=operator):
                spots += [(span, in_annotation(node)) for span in operator.mutation_positions(node)]
                return node

        Places().walk(get_ast(source))
        for occurrence, (span, hint) in enumerate(spots):
            if hint:
                continue
            changed = mutate_code(source, operator, occurrence)
            line = span[0][0]
            if changed is None or changed == source:
                continue
            after = changed.splitlines()
            new = after[line - 1] if line <= len(after) else ''
            if lines[line - 1].strip().startswith(('import ', 'from ', '@', '__all__')):
                continue
            found.append(
                Change(str(path.relative_to(ROOT / 'projects')), line, name, lines[line - 1], new, changed)
            )
    return found


def listed(file: Path) -> list[Change]:
    """The changes of a JSON list of ``{"path", "before", "after"}``, texts that occur once in their file."""
    found = []
    for entry in json.loads(file.read_text()):
        source = (ROOT / 'projects' / entry['path']).read_text()
        if source.count(entry['before']) != 1:
            print(
                f'{entry["path"]}: {entry["before"]!r} occurs {source.count(entry["before"])} times: left out'
            )
            continue
        line = source[: source.index(entry['before'])].count('\n') + 1
        changed = source.replace(entry['before'], entry['after'])
        found.append(Change(entry['path'], line, 'listed', entry['before'], entry['after'], changed))
    return found


def test_folders(path: str) -> list[str]:
    """Where a module's tests are: ``tests`` mirrors the package; a room without a folder has a file."""
    folder = ROOT / 'tests' / Path(path).parent
    while not (folder.is_dir() and any(folder.rglob('test_*.py'))):
        folder = folder.parent
    if folder == ROOT / 'tests':
        named = folder / f'test_{Path(path).stem}.py'
        return [str(named)] if named.is_file() else [str(p) for p in sorted(folder.glob('test_*.py'))]
    return [str(folder)]


def import_frameworks() -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import cv2  # noqa: F401
        import matplotlib.pyplot  # noqa: F401
        import mmdet.apis  # noqa: F401
        import mmseg.apis  # noqa: F401
        import pycocotools.mask  # noqa: F401
        import pytest  # noqa: F401
        import sklearn.metrics  # noqa: F401


def in_fork(work, seconds: float) -> int | None:
    """The exit status of ``work()`` in a forked process, None where it took too long."""
    pid = os.fork()
    if pid == 0:
        os.setpgrp()
        status = 70
        try:
            with open(os.devnull, 'w') as null:
                os.dup2(null.fileno(), 1)
                os.dup2(null.fileno(), 2)
                status = int(work())
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


PYTEST = [
    '-x',
    '-q',
    '-p',
    'no:cacheprovider',
    '-p',
    'no:faulthandler',
    '--no-header',
    '-m',
    'not slow and not gpu',
]


def run_pytest(arguments: list[str]) -> int:
    import pytest

    return pytest.main([*PYTEST, *arguments])


def measure(copy: Path, folders: list[str]) -> tuple[dict[tuple[str, int], set[str]], dict[str, float]]:
    """Which tests execute which lines, and how long each takes."""
    data = copy / f'coverage_{abs(hash(tuple(folders)))}'
    report = data.with_suffix('.json')

    def work() -> int:
        import coverage
        import pytest

        times = {}

        class Contexts:
            @pytest.hookimpl(hookwrapper=True)
            def pytest_runtest_protocol(self, item):
                cov.switch_context(item.nodeid)
                start = time.monotonic()
                yield
                times[item.nodeid] = time.monotonic() - start
                cov.switch_context('')

        cov = coverage.Coverage(str(data), include=[f'{copy}/projects/*', f'{copy}/mmroad/*'])
        cov.start()
        status = pytest.main([*[o for o in PYTEST if o != '-x'], *folders], plugins=[Contexts()])
        cov.stop()
        cov.save()
        report.write_text(json.dumps(times))
        return int(status)

    status = in_fork(work, 3600)
    if status not in (0, 5):
        raise SystemExit(f'{" ".join(folders)}: the tests fail without any change (pytest exits {status})')
    from coverage import CoverageData

    found = CoverageData(str(data))
    found.read()
    by_line = defaultdict(set)
    for file in found.measured_files():
        relative = Path(os.path.realpath(file)).relative_to((copy / 'projects').resolve())
        for line, contexts in found.contexts_by_lineno(file).items():
            by_line[str(relative), line] |= set(filter(None, contexts))
            if '' in contexts:  # executed while a module is imported: every test does
                by_line[str(relative), line].add('')
    return by_line, json.loads(report.read_text())


def tests_of(change: Change, by_line, times: dict[str, float]) -> list[str]:
    """The tests that execute the changed line (or import it), quickest first."""
    covered = {c for (path, line), contexts in by_line.items() if path == change.path and line == change.line
               for c in contexts}  # fmt: skip
    if not covered or covered == {''}:  # a statement of several lines, a default value, a constant
        covered = {c for (path, _), contexts in by_line.items() if path == change.path for c in contexts}
    return sorted(filter(None, covered), key=lambda test: times.get(test, 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'modules', nargs='*', help='files or folders of projects/ (default: the critical ones)'
    )
    parser.add_argument('--count', type=int, default=250, help='changes drawn (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--list', type=Path, help='a JSON list of changes instead of drawn ones')
    parser.add_argument('--out', type=Path, help='write every change and its fate to this JSON file')
    args = parser.parse_args()

    os.environ.update(OMP_NUM_THREADS='1', PYTHONDONTWRITEBYTECODE='1')
    sys.dont_write_bytecode = True
    copy = Path(tempfile.mkdtemp(prefix='mmroad_mutation_'))
    try:
        run(args, copy)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def drawn(args: argparse.Namespace) -> list[Change]:
    files = []
    for name in args.modules or CRITICAL:
        path = ROOT / 'projects' / name.removeprefix('projects/')
        if not path.exists():
            continue
        files += sorted(path.rglob('*.py')) if path.is_dir() else [path]
    every = [change for file in files if file.name != '__init__.py' for change in changes_of(file)]
    return random.Random(args.seed).sample(every, min(args.count, len(every)))


def run(args: argparse.Namespace, copy: Path) -> None:
    changes = listed(args.list) if args.list else drawn(args)
    shutil.copytree(ROOT / 'projects', copy / 'projects', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('configs', 'tools'):
        os.symlink(ROOT / name, copy / name)
    os.symlink(copy / 'projects', copy / 'mmroad')
    os.environ['PYTHONPATH'] = str(copy)
    sys.path.insert(0, str(copy))
    os.chdir(ROOT)
    print(f'{len(changes)} changes, seed {args.seed}', flush=True)
    import_frameworks()
    groups = defaultdict(list)
    for change in changes:
        groups[tuple(test_folders(change.path))].append(change)
    fates, began = [], time.monotonic()
    for folders, members in groups.items():
        by_line, times = measure(copy, list(folders))
        for change in members:
            tests = tests_of(change, by_line, times)
            place = copy / 'projects' / change.path
            original = place.read_text()
            place.write_text(change.source)
            limit = 60 + 5 * sum(times.get(test, 0.0) for test in tests)
            try:
                status = in_fork(lambda tests=tests: run_pytest(tests), limit) if tests else 0
            finally:
                place.write_text(original)
            fate = 'timeout' if status is None else 'survived' if status in (0, 5) else 'killed'
            fates.append((change, fate))
            if fate == 'survived':
                print(f'survived {change.path}:{change.line} {change.what}\n  - {change.before.strip()}\n'
                      f'  + {change.after.strip()}', flush=True)  # fmt: skip
    by_module = defaultdict(lambda: [0, 0])
    for change, fate in fates:
        by_module[change.path][0] += fate != 'survived'
        by_module[change.path][1] += 1
    for path, (killed, total) in sorted(by_module.items()):
        print(f'{path:40}{killed:5} of {total}')
    killed = sum(fate != 'survived' for _, fate in fates)
    print(f'noticed {killed} of {len(fates)} ({100 * killed / max(len(fates), 1):.1f} %) in '
          f'{time.monotonic() - began:.0f} s, seed {args.seed}')  # fmt: skip
    if args.out:
        rows = [dict(change._asdict(), source=None, fate=fate) for change, fate in fates]
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
