"""Train configs of anomaly segmentation with several seeds, score them on the same scenes, print mean and deviation.

    mmroad data road-scenes --out data/road_scenes
    python benchmarks/anomaly_seeds.py deepv3plus_r18_road_scenes abet_deepv3plus_r18_road_scenes --out work_dirs/seeds

A config may be followed by values: abet_deepv3plus_r18_road_scenes,optim_wrapper.optimizer.lr=0.01; in these {seed} is
the seed, so that a second training can start from the first's weights. What is trained or scored already below --out is
taken again. Deviations are those of a sample (n - 1).
"""

import argparse
import csv
import json
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

from mmroad.commands import main as mmroad


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG[,KEY=VALUE...]')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--scores', nargs='+', help='scores (default: those of the configs)')
    parser.add_argument('--data', default='data/road_scenes/ood/val', help='scenes with masks')
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE', help='for all configs')
    parser.add_argument('--out', type=Path, required=True)
    return parser.parse_args()


def train(name: str, seed: int, args: argparse.Namespace) -> Path:
    """The last checkpoint of a config trained with a seed."""
    config, *options = name.split(',')
    folder = args.out / 'trained' / plain(name) / str(seed)
    done = folder / 'last_checkpoint'
    if not done.exists():
        options = [o.replace('{seed}', str(seed)) for o in (*args.options, *options)]
        options += [f'randomness.seed={seed}']
        command = [sys.executable, '-m', 'mmroad', 'train', config, '--work-dir', str(folder)]
        subprocess.run([*command, '--cfg-options', *options], check=True)  # a log of its own
    checkpoint = folder / Path(done.read_text().strip()).name
    named = checkpoint.with_name(f'seed{seed}.pth')  # the benchmark calls a model by its checkpoint
    if not named.exists():
        named.symlink_to(checkpoint.name)
    return named


def miou(checkpoint: Path) -> float:
    """The last validation's mIoU in percent, from the log; NaN where there was none."""
    lines = [line for log in checkpoint.parent.rglob('scalars.json') for line in log.read_text().splitlines()]
    found = [json.loads(line)['mIoU'] for line in lines if '"mIoU"' in line]
    return found[-1] if found else float('nan')


def main() -> None:
    args = parse_args()
    print('| config | mIoU | score | AP | FPR95 | AUROC |\n|---|---|---|---|---|---|')
    for name in args.configs:
        checkpoints = [train(name, seed, args) for seed in args.seeds]
        out = args.out / 'scored' / plain(name)
        scores = ['--scores', *args.scores] if args.scores else []
        models = [f'{name.split(",")[0]}={path}' for path in checkpoints]
        mmroad(['benchmark', 'anomaly', *models, '--data', args.data, '--out', str(out), *scores])
        with open(out / 'table.csv', encoding='utf-8') as file:
            found = [row for row in csv.DictReader(file) if row['by'].startswith('here')]
        for score in dict.fromkeys(row['score'] for row in found):
            rows = [row for row in found if row['score'] == score]
            columns = [[float(row[key]) for row in rows] for key in ('AP', 'FPR95', 'AUROC')]
            cells = [spread(values) for values in ([miou(path) for path in checkpoints], *columns)]
            print(f'| {name} | {cells[0]} | {score} | {" | ".join(cells[1:])} |', flush=True)


def plain(name: str) -> str:
    """A folder's name; the benchmark takes no other signs in a checkpoint's path."""
    return re.sub(r'[^\w.-]+', '_', name)


def spread(values: list[float]) -> str:
    if any(map(math.isnan, values)):
        return '-'
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f'{statistics.mean(values):.2f} ± {deviation:.2f}'


if __name__ == '__main__':
    main()
