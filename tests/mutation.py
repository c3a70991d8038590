"""Small changes to the package, one at a time, and whether the tests notice: ``bash tools/mutation.sh``.

Changes are cosmic-ray's (an operator, a bound, a number, a truth value, a loop) and a dropped line. cosmic-ray starts
pytest anew for each, of which importing torch and the frameworks is 10 to 20 s; here one process imports them once and
forks for each change. The package is changed in a copy, to which the fork's processes point too; the tests run are
those that execute the changed statement (coverage.py), themselves or in a process that they start, the quickest
first, up to the first failure. Which tests those are is measured once for each test file and kept in
``.mutation_cache/`` until the file, a module that it executes or a helper of the tests changes.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import functools
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: A test file that takes more of a processor than this (seconds) to measure is left out: trainings, which show
#: little of a line.
MEASURING = 120
#: What pytest is told.
PYTEST = '-q -p no:cacheprovider -p no:faulthandler --no-header'.split() + ['-m', 'not slow and not gpu']
#: The modules whose numbers people rely on.
CRITICAL = [
    'bdd100k', 'anomaly', 'zoo/checkpoint.py', 'zoo/weights.py', 'files', 'detic/losses.py', 'detic/metric.py',
    'detic/openimages.py', 'detic/sampler.py', 'detic/centernet_targets.py', 'detic/vocabulary.py', 'detic/swap.py',
    'rankseg/rank.py', 'rankseg/ranking_metrics.py', 'rankseg/video', 'rba/losses.py', 'rba/scores.py',
    'rba/outliers.py', 'abet/temperature.py', 'abet/losses.py', 'abet/scores.py', 'abet/class_uniform.py',
    'converters',
]  # fmt: skip
#: Of folders these are left out: colors and places of text are judged by the eye.
PICTURES = ('pictures.py', 'visualizer.py', 'figure.py')
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
            statement = parso.parse('pass\n').children[0]
            statement.get_first_leaf().prefix = node.get_first_leaf().prefix
            return statement

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
            if at and getattr(children[at - 1], 'value', '') == ('->' if parent.type == 'funcdef' else ':'):
                return True
        if node.type == 'if_stmt' and 'TYPE_CHECKING' in node.children[1].get_code():
            return True
        node = parent
    return False


@functools.cache
def spots_of(source: str) -> list[tuple[str, int, int]]:
    """Every place of a file that can be changed: operator, the how manieth place of that operator, line."""
    from cosmic_ray.ast import Visitor, get_ast

    operators = {name: operator_of(name) for name in (*OPERATORS, 'DropLine')}
    lines, number, found = source.splitlines(), Counter(), []

    class Places(Visitor):
        def visit(self, node):
            for name, operator in operators.items():
                for (line, _), _ in operator.mutation_positions(node):
                    spot = name, number[name], line
                    number[name] += 1
                    start = lines[line - 1].strip()
                    if not start.startswith(('import ', 'from ', '@', '__all__')) and not in_annotation(node):
                        found.append(spot)
            return node

    Places().walk(get_ast(source))
    return found


def operator_of(name: str):
    from cosmic_ray.plugins import get_operator

    return dropped_lines() if name == 'DropLine' else get_operator(f'core/{name}')()


def change_at(path: Path, name: str, occurrence: int, line: int) -> Change | None:
    """The change at one of :func:`spots_of`; None where it does not compile or is the same program."""
    from cosmic_ray.mutating import mutate_code

    source = path.read_text()
    changed = mutate_code(source, operator_of(name), occurrence)
    try:
        if changed is None or ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    before, after = source.splitlines()[line - 1], changed.splitlines()[line - 1]
    return Change(str(path.relative_to(ROOT / 'projects')), line, name, before, after, changed)


def changes_of(path: Path, only=lambda name, line: True) -> list[Change]:
    """Every change of a file, or those of an operator and a line."""
    every = (change_at(path, *spot) for spot in spots_of(path.read_text()) if only(spot[0], spot[2]))
    return [change for change in every if change]


def listed(file: Path) -> list[Change]:
    """The changes of a JSON list: ``{"path", "before", "after"}``, texts that occur once, or what ``--out`` wrote."""
    found = []
    for entry in json.loads(file.read_text()):
        place = ROOT / 'projects' / entry['path']
        source, before = place.read_text(), entry['before']
        if entry.get('what', 'listed') == 'listed':
            if source.count(before) == 1:
                line = source[: source.index(before)].count('\n') + 1
                changed = source.replace(before, entry['after'])
                found.append(Change(entry['path'], line, 'listed', before, entry['after'], changed))
                continue
        elif entry['fate'] != 'survived':
            continue
        else:  # the line may have moved
            lines = [number for number, text in enumerate(source.splitlines(), 1) if text == before]
            now = min(lines, key=lambda number: abs(number - entry['line']), default=None)
            same = [change for change in changes_of(
                place, only=lambda name, line, entry=entry, now=now: (name, line) == (entry['what'], now)
            ) if change.after == entry['after']]  # fmt: skip
            if same:
                found.append(same[0])
                continue
        print(f'{entry["path"]}: {before.strip()!r} is not there (or more than once): left out')
    return found


def test_files(path: str) -> list[Path]:
    """Where a module's tests are: ``tests`` mirrors the package, a room without a folder has a file, and tests of
    several modules import them."""
    folder = ROOT / 'tests' / Path(path).parent
    while not (folder.is_dir() and any(folder.rglob('test_*.py'))):
        folder = folder.parent
    found = set(folder.rglob('test_*.py'))
    if folder == ROOT / 'tests':
        found = set(folder.glob(f'test_{Path(path).stem}*.py')) or set(folder.glob('test_*.py'))
    module = '.'.join(('mmroad', *Path(path).with_suffix('').parts))
    users = (file for file in (ROOT / 'tests').rglob('test_*.py') if module in file.read_text())
    return sorted(found.union(users))


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
    """The exit status of ``work()`` in a forked process; None where it took so many seconds of a processor, or ten
    times as many by the clock, in which it did not wait for a processor (a machine may have other work)."""
    pid = os.fork()
    if pid == 0:
        os.setpgrp()
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1,) * 2)
        status = 70
        try:
            with open(os.devnull, 'w') as null:
                os.dup2(null.fileno(), 1)
                os.dup2(null.fileno(), 2)
                status = int(work())
        finally:
            os._exit(status)
    start = time.monotonic()
    while time.monotonic() - start < 10 * seconds + waited(pid):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code in (-signal.SIGXCPU, -signal.SIGKILL) else code
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def waited(pid: int) -> float:
    """Seconds that a process was ready to run and no processor was free (Linux; elsewhere 0)."""
    try:
        return int(Path(f'/proc/{pid}/schedstat').read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def measure(copy: Path, file: Path, hashes: dict[str, str], helpers: str) -> dict[str, dict]:
    """Of each test of a file: ``{"seconds": float, "lines": {module: [line, ...]}}``; empty where it takes too long.

    A fixture of a module or session runs for the first of its tests, and its lines are the lines of all of them. Tests
    that fail without any change are left out.

    Args:
        hashes: Of every module of the package; what was measured holds while those that were executed are the same.
        helpers: What else it depends on: the texts of the tests' helpers.
    """
    mark = hashlib.sha256(f'{file.relative_to(ROOT)}{helpers}'.encode() + file.read_bytes()).hexdigest()[:16]
    kept = ROOT / '.mutation_cache' / f'{file.stem}_{mark}.json'
    if kept.is_file():
        content = json.loads(kept.read_text())
        if all(hashes.get(path) == value for path, value in content['modules'].items()):
            return content['tests']
    data = copy / f'coverage_{mark}'
    settings = copy / 'coverage.ini'
    settings.write_text(
        f'[run]\ndata_file = {data}_child\nparallel = true\nsigterm = true\ncontext = ${{MMROAD_TEST}}\n'
        f'include =\n    {copy}/projects/*\n    {copy}/mmroad/*\n'
    )

    def work() -> int:
        import coverage
        import pytest

        sys.dont_write_bytecode = False  # of the tests: pytest's rewriting of their assertions takes a while
        os.environ['COVERAGE_PROCESS_START'] = str(settings)  # of processes that tests start
        tests, using, failed = {}, {}, set()

        def switch(context: str) -> None:
            cov.switch_context(context)
            os.environ['MMROAD_TEST'] = context

        class Contexts:
            @pytest.hookimpl(hookwrapper=True)
            def pytest_runtest_protocol(self, item):
                self.now = item.nodeid
                switch(self.now)
                start = time.monotonic()
                yield
                tests[item.nodeid] = time.monotonic() - start
                using[item.nodeid] = list(item.fixturenames)
                switch('')

            def pytest_runtest_logreport(self, report):
                if report.failed:
                    failed.add(report.nodeid)

            @pytest.hookimpl(hookwrapper=True)
            def pytest_fixture_setup(self, fixturedef, request):
                if fixturedef.scope != 'function':
                    switch(f'fixture {fixturedef.argname}')
                yield
                switch(self.now)

        cov = coverage.Coverage(str(data), include=[f'{copy}/projects/*', f'{copy}/mmroad/*'])
        cov.start()
        status = pytest.main([*PYTEST, str(file)], plugins=[Contexts()])
        cov.stop()
        cov.save()
        data.with_suffix('.json').write_text(json.dumps([tests, using, sorted(failed)]))
        return int(status)

    status = in_fork(work, MEASURING)
    if status is None:
        print(f'{file.relative_to(ROOT)} takes too long: left out', flush=True)
    elif status not in (0, 1, 5):
        raise SystemExit(f'{file.relative_to(ROOT)}: does not run without any change (pytest exits {status})')
    if status is None or not data.is_file():
        return {}
    lines, modules, result = defaultdict(lambda: defaultdict(set)), set(), {}
    for part in copy.glob(f'{data.name}*'):
        if part.suffix != '.json':
            modules |= executed(part, copy, lines)
    tests, using, failed = json.loads(data.with_suffix('.json').read_text())
    for test in failed:
        del tests[test]
        print(f'{test} fails without any change: left out', flush=True)
    for test, seconds in tests.items():
        of_test = defaultdict(set)
        for context in (test, *(f'fixture {name}' for name in using[test])):
            for path, numbers in lines[context].items():
                of_test[path] |= numbers
        result[test] = {'seconds': seconds, 'lines': {p: sorted(numbers) for p, numbers in of_test.items()}}
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(dict(modules={p: hashes.get(p) for p in sorted(modules)}, tests=result)))
    return result


def executed(part: Path, copy: Path, lines: dict[str, dict[str, set[int]]]) -> set[str]:
    """Add the lines of a file of coverage.py to ``lines[context][module]``; the modules that were executed."""
    from coverage import CoverageData, CoverageException

    found = CoverageData(str(part))
    try:
        found.read()
    except CoverageException:  # of a process that a test killed while it wrote
        return set()
    modules = set()
    for path in found.measured_files():
        relative = os.path.relpath(os.path.realpath(path), copy / 'projects')
        modules.add(relative)
        for line, contexts in found.contexts_by_lineno(path).items():
            for context in contexts:
                lines[context][relative].add(line)
    return modules


def statement(source: str, line: int) -> range | None:
    """The lines of the innermost statement of a function's body around a line; None outside of functions.

    Of a compound statement these are the lines before its body.
    """
    best = None
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.body[0].lineno <= line <= function.end_lineno:
            for node in ast.walk(function):
                if node is function or not isinstance(node, ast.stmt) or isinstance(node, ast.FunctionDef):
                    continue
                inner = getattr(node, 'body', None)
                end = max(inner[0].lineno - 1, node.lineno) if isinstance(inner, list) else node.end_lineno
                if node.lineno <= line <= end and (best is None or end - node.lineno < len(best)):
                    best = range(node.lineno, end + 1)
    return best


def tests_of(change: Change, source: str, measured: dict[str, dict]) -> list[str]:
    """The tests that execute the changed statement, quickest first.

    What no test executes, since it runs while the module is imported (a constant, a default), is all tests' of the
    files that use the module.
    """
    spot = statement(source, change.line)
    lines = {test: of['lines'].get(change.path, ()) for test, of in measured.items()}
    chosen = [test for test in lines if spot and any(line in spot for line in lines[test])]
    if not chosen:
        files = {test.partition('::')[0] for test in lines if lines[test]}
        chosen = [test for test in lines if not files or test.partition('::')[0] in files]
    return sorted(chosen, key=lambda test: measured[test]['seconds'])


def fate(copy: Path, change: Change, measured: dict[str, dict], files: list[Path] = ()) -> str:
    """``killed``, ``survived`` or ``timeout``, which is noticed too."""
    place = copy / 'projects' / change.path
    original, times = place.read_text(), place.stat()
    tests = [str(file) for file in files] or tests_of(change, original, measured)
    if not tests:
        return 'survived'
    seconds = 60 + sum(5 * measured[test]['seconds'] if test in measured else MEASURING for test in tests)

    def work() -> int:
        import pytest

        return pytest.main([*PYTEST, '-x', *tests])

    place.write_text(change.source)
    os.utime(place, (0, 0))  # another time than in its .pyc file, also within one second
    try:
        status = in_fork(work, seconds)
    finally:
        place.write_text(original)
        os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that its .pyc file holds again
    return 'timeout' if status is None else 'survived' if status in (0, 5) else 'killed'


def drawn(modules: list[str], count: int, seed: int) -> list[Change]:
    """``count`` of all changes of the modules."""
    files = []
    for name in modules:
        path = ROOT / 'projects' / name.removeprefix('projects/')
        if not path.exists():
            raise SystemExit(f'{name}: not below {ROOT / "projects"}')
        inside = sorted(file for file in path.rglob('*.py') if file.name not in PICTURES)
        files += inside if path.is_dir() else [path]
    every = [(file, *spot) for file in files for spot in spots_of(file.read_text())]
    random.Random(seed).shuffle(every)
    found = []
    for spot in every:
        if len(found) == count:
            break
        found += filter(None, [change_at(*spot)])
    return found


def run(
    changes: list[Change], copy: Path, files: list[Path] = (), out: Path | None = None
) -> list[tuple[Change, str]]:
    """The fate of each change; survivors are printed, and ``out`` written, as they come. ``files``: test files that are
    run whole instead."""
    shutil.copytree(ROOT / 'projects', copy / 'projects', ignore=shutil.ignore_patterns('__pycache__'))
    compileall.compile_dir(copy / 'projects', quiet=2)
    for name in ('configs', 'tools'):
        os.symlink(ROOT / name, copy / name)
    os.symlink(copy / 'projects', copy / 'mmroad')
    (copy / 'sitecustomize.py').write_text(  # of processes that tests start, while their lines are measured
        "import os\nif 'COVERAGE_PROCESS_START' in os.environ:\n    import coverage\n    coverage.process_startup()\n"
    )
    os.environ.update(OMP_NUM_THREADS='1', PYTHONDONTWRITEBYTECODE='1', PYTHONPATH=str(copy))
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(copy))
    os.chdir(ROOT)
    import_frameworks()
    helpers = ''.join(
        f'{path.relative_to(ROOT)}\n{path.read_text()}'
        for path in sorted((ROOT / 'tests').rglob('*.py'))
        if not path.name.startswith('test_')
    )
    hashes = {
        str(path.relative_to(ROOT / 'projects')): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in (ROOT / 'projects').rglob('*.py')
    }
    fates, order = [], {path: number for number, path in enumerate(dict.fromkeys(c.path for c in changes))}
    for change in sorted(changes, key=lambda c: (order[c.path], c.line)):
        measured = {}
        for file in () if files else test_files(change.path):
            measured |= measure(copy, file, hashes, helpers)
        fates.append((change, fate(copy, change, measured, files)))
        if fates[-1][1] == 'survived':
            print(f'survived {change.path}:{change.line} {change.what}\n  - {change.before.strip()}\n'
                  f'  + {change.after.strip()}', flush=True)  # fmt: skip
        if out:
            rows = [dict(change._asdict(), fate=what) for change, what in fates]
            out.write_text(
                json.dumps([{k: v for k, v in row.items() if k != 'source'} for row in rows], indent=1)
            )
    return fates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'modules',
        nargs='*',
        default=CRITICAL,
        help='files or folders of projects/ (default: the critical ones)',
    )
    parser.add_argument('--count', type=int, default=250, help='changes drawn (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--list', type=Path, help='a JSON list of changes instead of drawn ones')
    parser.add_argument('--out', type=Path, help='write every change and its fate to this JSON file')
    parser.add_argument(
        '--tests',
        nargs='+',
        type=Path,
        default=[],
        help='run these test files whole (quicker for few changes)',
    )
    args = parser.parse_args()
    changes = listed(args.list) if args.list else drawn(args.modules, args.count, args.seed)
    print(f'{len(changes)} changes, seed {args.seed}', flush=True)
    began = time.monotonic()
    copy = Path(tempfile.mkdtemp(prefix='mmroad_mutation_'))
    try:
        files = [path.resolve() for path in args.tests]
        fates = run(changes, copy, files, args.out and args.out.resolve())
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    by_module = defaultdict(lambda: [0, 0])
    for change, what in fates:
        by_module[change.path][0] += what != 'survived'
        by_module[change.path][1] += 1
    for path, (killed, total) in sorted(by_module.items()):
        print(f'{path:40}{killed:5} of {total}')
    killed = sum(what != 'survived' for _, what in fates)
    late = sum(what == 'timeout' for _, what in fates)
    print(f'noticed {killed} of {len(fates)} ({100 * killed / max(len(fates), 1):.1f} %), {late} of them by taking '
          f'too long, in {time.monotonic() - began:.0f} s, seed {args.seed}')  # fmt: skip


if __name__ == '__main__':
    main()
