"""Score the same files with mmroad and with the official tool, each in its own process, and compare.

python benchmarks/eval.py -t det -g GT -r RESULT
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOLS = {'mmroad': 'mmroad.bdd100k.eval', 'official': 'bdd100k.eval.run'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '-t', '--task', default='det', choices=('det', 'sem_seg', 'drivable', 'ins_seg', 'pan_seg')
    )
    parser.add_argument('-g', '--gt', required=True, help='ground truth: a file or folder')
    parser.add_argument('-r', '--result', required=True, help='predictions: a file or folder')
    parser.add_argument('--score-file', help='scores of the predicted bitmasks (ins_seg)')
    parser.add_argument('--nproc', type=int, default=1, help='processes of the official tool')
    return parser.parse_args()


def run(module: str, args: argparse.Namespace, out: Path) -> dict[str, float]:
    """Wall and CPU seconds and peak MiB of one run of a tool, which writes its scores to ``out``."""
    command = [sys.executable, '-m', module, '-t', args.task, '-g', args.gt, '-r', args.result]
    command += ['--out-file', str(out), '--nproc', str(args.nproc)]
    if args.score_file:
        command += ['--score-file', args.score_file]
    start = time.perf_counter()
    with open(out.with_suffix('.log'), 'w+') as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            log.seek(0)
            sys.exit(f'{" ".join(command)} failed:\n{log.read()[-2000:]}')
    return dict(
        wall=time.perf_counter() - start, cpu=usage.ru_utime + usage.ru_stime, mib=usage.ru_maxrss / 1024
    )


def flat(scores: dict) -> dict[str, float]:
    """Every number of a score file by its path."""
    rows = {key: rows if isinstance(rows, list) else [{'': rows}] for key, rows in scores.items()}
    return {f'{key}/{name}': v for key, parts in rows.items() for part in parts for name, v in part.items()}


def difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """The largest difference of any number; infinite where one alone is NaN or missing."""
    if ours.keys() != theirs.keys() or any(math.isnan(ours[k]) != math.isnan(theirs[k]) for k in ours):
        return math.inf
    return max(abs(ours[k] - theirs[k]) for k in ours if not math.isnan(ours[k]))


def main() -> None:
    args = parse_args()
    figures, scores = {}, {}
    print('| tool | wall, s | CPU, s | peak of its process, MiB |\n|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        for name, module in TOOLS.items():
            out = Path(folder) / f'{name}.json'
            figures[name] = f = run(module, args, out)
            print(f'| {name} | {f["wall"]:.2f} | {f["cpu"]:.2f} | {f["mib"]:.0f} |', flush=True)
            scores[name] = flat(json.loads(out.read_text()))
    ours, theirs = figures['mmroad'], figures['official']
    ratios = ' | '.join(f'{theirs[key] / ours[key]:.1f}' for key in ('wall', 'cpu', 'mib'))
    print(f'| ratio | {ratios} |')
    count = len(scores['mmroad'])
    print(f'\nLargest difference of {count} numbers: {difference(*scores.values()):.1e}')


if __name__ == '__main__':
    main()
