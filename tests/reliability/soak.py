"""Try to break what docs/reliability.md promises, for some minutes, and print what was tried and what broke.

    bash tools/soak.sh [MINUTES] [--seed N] [--only R7 R12] [--folder DIR]

Exits 1 where a promise was broken; what broke is printed, and its files stay in the folder. A seed draws the same
changes, codes and places; the moments of kills depend on the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault('OMP_NUM_THREADS', '1')  # what is forked must not wait for threads of this process
sys.path.insert(0, str(Path(__file__).parent))

from children import ROOT, Attempt  # noqa: E402


class Trial(NamedTuple):
    """Something that is tried again and again."""

    rows: str  #: of docs/reliability.md
    what: str
    share: float  #: of the time
    attempts: Callable[[Path, random.Random], Iterator[Attempt]]


def tests(*args: str) -> Callable[[Path, random.Random], Iterator[Attempt]]:
    """Tests that are a trial by themselves, run once."""

    def attempts(folder: Path, rng: random.Random) -> Iterator[Attempt]:
        command = [
            sys.executable,
            '-m',
            'pytest',
            '-q',
            '-m',
            'slow or not slow',
            '-p',
            'no:cacheprovider',
            *args,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
        passed = int((re.search(r'(\d+) passed', done.stdout) or [0, 0])[1])
        broken = re.findall(r'^(?:FAILED|ERROR) .*', done.stdout, re.MULTILINE)
        if done.returncode and not broken:
            broken = [f'exit code {done.returncode}: {done.stdout[-800:]}']
        yield Attempt('tests', broken, passed + len(broken))

    return attempts


def trials() -> list[Trial]:
    import cv2

    cv2.setNumThreads(0)  # as above
    import disk
    import kills
    import mutants
    import predictions
    import programs

    def job(make: Callable, way: str) -> Callable[[Path, random.Random], Iterator[Attempt]]:
        return lambda folder, rng: getattr(make(folder), way)(rng)

    def mutated(kind: str) -> Callable[[Path, random.Random], Iterator[Attempt]]:
        return partial(mutants.mutants, kind)

    here = 'tests/reliability'
    return [
        Trial('R1 R5 R6', 'training killed, 1 rank', 8, partial(kills.killed_trainings, 1)),
        Trial('R1 R5 R6', 'training killed, 2 ranks', 4, partial(kills.killed_trainings, 2)),
        Trial('R1 R10', 'a rank killed, torchrun goes on', 0, tests(f'{here}/test_elastic.py')),
        Trial('R2', 'hostile checkpoints, every way', 0, tests(f'{here}/test_hostile.py')),
        Trial('R3', 'one file, an empty cache', 1, programs.empty_cache),
        Trial('R4', 'torn checkpoints and pointers', 1, kills.spoiled_folders),
        Trial('R7', 'run-length codes', 2, mutants.codes),
        Trial('R8', 'odd and changed images predicted', 1, programs.odd_images),
        Trial('R9', 'one image by four processes', 1, programs.images_at_once),
        Trial('R10', 'a rank that hangs', 0, tests('tests/test_ranks.py')),
        Trial('R11', 'predicting killed', 4, job(programs.predicting, 'killed')),
        Trial('R11', 'predicting into one folder', 2, job(programs.predicting, 'at_once')),
        Trial('R11', 'predicting by ranks', 2, job(programs.predicting, 'by_ranks')),
        Trial('R11', 'converting a checkpoint killed', 1, job(programs.converting, 'killed')),
        Trial('R11', 'converting into one file', 1, job(programs.converting, 'at_once')),
        Trial('R11', 'drawing a data set killed', 1, job(programs.drawing, 'killed')),
        Trial('R12 R14', 'changed label files', 1, mutated('labels')),
        Trial('R12 R14', 'changed masks', 1, mutated('masks')),
        Trial('R12', 'changed images', 1, mutated('images')),
        Trial('R12 R14', 'changed checkpoints', 1, mutated('checkpoints')),
        Trial('R12 R14', 'changed anomaly maps', 1, mutated('maps')),
        Trial('R12 R14', 'changed vocabularies', 1, mutated('vocabularies')),
        Trial('R13', 'predictions that are not finite', 0.5, predictions.not_finite),
        Trial('R14', 'changed index caches', 0.5, mutants.caches),
        Trial('R14', 'frames that stand twice', 0.5, predictions.repeated),
        Trial('R15', 'answers that are no weights', 0, tests('tests/test_weights.py')),
        Trial('R16', 'no room', 2, disk.full_disk),
    ]


def _whatever_happens(trial: Trial, folder: Path, rng: random.Random) -> Iterator[Attempt]:
    """A trial's attempts; one that cannot be made is broken, and the other trials go on."""
    try:
        yield from trial.attempts(folder, rng)
    except Exception:
        yield Attempt('cannot be tried', [traceback.format_exc()[-2000:]])


def soak(trials: list[Trial], minutes: float, seed: int, folder: Path) -> int:
    """Run the trials, each for its share of the time and once at least; prints a table.

    Returns:
        How many promises were broken.
    """
    shares, rows, failed = sum(trial.share for trial in trials) or 1, [], 0
    for number, trial in enumerate(trials):
        end = time.monotonic() + minutes * 60 * trial.share / shares
        place, tried, broken = folder / f'{number:02d}', Counter(), 0
        place.mkdir(parents=True)
        attempts = _whatever_happens(trial, place, random.Random(f'{seed} {trial.what}'))
        for attempt in attempts:
            tried[attempt.kind] += attempt.number
            broken += len(attempt.broken)
            for line in attempt.broken:
                print(f'{trial.rows} {trial.what}, {attempt.kind}: BROKEN: {line}', flush=True)
            if time.monotonic() > end:
                break
        attempts.close()
        kinds = ', '.join(f'{kind} {count}' for kind, count in sorted(tried.items()))
        rows.append((trial.rows, trial.what, f'{sum(tried.values()):,}', str(broken), kinds))
        print(f'{trial.rows} {trial.what}: {kinds}; broken {broken}', flush=True)
        failed += broken
        if not broken:
            shutil.rmtree(place, ignore_errors=True)
    heads = ('Rows', 'What was tried', 'How often', 'Broken', 'Of these')
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(5)]
    for row in (heads, ['-' * width for width in widths], *rows):
        print('| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |')
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('minutes', nargs='?', type=float, default=15, help='about so many (default: 15)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', nargs='+', metavar='ROW', help='these rows alone, such as R7')
    parser.add_argument('--folder', type=Path, help='where it works (default: a temporary folder)')
    args = parser.parse_args()
    chosen = [t for t in trials() if not args.only or set(args.only) & set(t.rows.split())]
    if not chosen:
        parser.error(f'there is no row {" ".join(args.only)}')
    folder = Path(tempfile.mkdtemp(prefix='mmroad-soak-', dir=args.folder))
    failed = soak(chosen, args.minutes, args.seed, folder)
    print(f'{failed} promises broken; files in {folder}' if failed else 'every promise was kept')
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
