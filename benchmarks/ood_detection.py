"""Train and test energy, AbeT and SAFE on the synthetic road scenes with several seeds; mean and deviation.

mmroad data road-scenes
python benchmarks/ood_detection.py --out work_dirs/ood --seeds 0 1 2

A run that was stopped goes on: what has a checkpoint or scores is not done again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

BASE = 'faster-rcnn_r18_fpn_road_scenes'
#: What sets how long a detector is trained.
LENGTHS = (
    'train_cfg.max_iters',
    'train_cfg.val_interval',
    'param_scheduler.1.end',
    'default_hooks.checkpoint.interval',
)
#: What is trained; SAFE beside the first.
MODELS = {'energy': BASE, 'AbeT': f'abet_{BASE}', 'SAFE': f'safe_{BASE}'}


def mmroad(*command: object) -> None:
    subprocess.run([sys.executable, '-m', 'mmroad', *map(str, command)], check=True)


def newest(folder: Path) -> Path | None:
    named = folder / 'last_checkpoint'
    return Path(named.read_text().strip()) if named.is_file() else None


def numbers(folder: Path, key: str = 'ood/') -> dict | None:
    """The last scores in the logs of a run, those that have a key beginning with the text."""
    lines = [line for log in sorted(folder.glob('2*/**/*.json')) for line in log.read_text().splitlines()]
    rows = [row for row in map(json.loads, lines) if any(name.startswith(key) for name in row)]
    return rows[-1] if rows else None


def run(name: str, seed: int, args: argparse.Namespace) -> dict:
    """The scores of one model: those of its last validation, and those on unknown objects."""
    config, folder = MODELS[name], args.out / f'{name}_{seed}'
    data = f'data_root={args.data}/'
    options = [data, f'randomness.seed={seed}']
    if name == 'SAFE':
        options += [f'train_cfg.max_epochs={args.epochs}', f'train_cfg.val_interval={args.epochs}']
        options += [f'load_from={newest(args.out / f"energy_{seed}")}']
    else:
        options += [f'{key}={args.iterations}' for key in LENGTHS]
    amp = ['--amp'] * args.amp
    if newest(folder) is None:
        mmroad('train', config, '--work-dir', folder, *amp, '--cfg-options', *options)
    if numbers(folder / 'ood') is None:
        mmroad('test', f'{config}_ood', newest(folder), '--work-dir', folder / 'ood', '--cfg-options', data)
    return numbers(folder, 'bdd100k/AP') | numbers(folder / 'ood')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='data/road_scenes')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/ood'))
    parser.add_argument('--models', nargs='+', choices=MODELS, default=list(MODELS))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=800, help='of the detectors (default: %(default)s)')
    parser.add_argument('--epochs', type=int, default=5, help='of SAFE (default: %(default)s)')
    parser.add_argument('--amp', action='store_true', help='train in bfloat16')
    args = parser.parse_args()
    found: dict[str, list[dict]] = {name: [] for name in args.models}
    for seed in args.seeds:
        for name in args.models:
            found[name].append(run(name, seed, args))
        print(table(found), flush=True)


def table(found: dict[str, list[dict]]) -> str:
    """Mean and deviation of every number over the seeds that are done."""
    keys = [key for key in next(iter(found.values()))[0] if key.startswith(('bdd100k/AP', 'ood/'))]
    lines = ['| | ' + ' | '.join(found) + ' |', '|---|' + '---|' * len(found)]
    for key in keys:
        cells = []
        for rows in found.values():
            values = [row[key] for row in rows]
            cells.append(
                f'{mean(values):.2f} ± {stdev(values):.2f}' if len(values) > 1 else f'{values[0]:.2f}'
            )
        lines.append(f'| {key} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
