"""Plot the loss and the scores of a training run: mmroad plot WORK_DIR OUT.png"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dir', type=Path, help='of tools/train.py; runs that were resumed are joined')
    parser.add_argument('out', type=Path, help='picture to write')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=['bdd100k/AP', 'bdd100k/AP50'],
        help='scores to plot (default: %(default)s)',
    )


def read_scalars(work_dir: Path, metrics: list[str]) -> tuple[dict[int, float], dict[str, dict[int, float]]]:
    """Loss by iteration, and every metric by the iteration of its validation.

    Where a resumed run repeats an iteration the later value stands.
    """
    losses: dict[int, float] = {}
    scores: dict[str, dict[int, float]] = {name: {} for name in metrics}
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        sys.exit(f'{work_dir}: no */vis_data/scalars.json, so no training of tools/train.py was logged there')
    for file in files:
        iteration = 0
        for row in _rows(file):
            if 'loss' in row:
                iteration = row.get('iter', row['step'])
                losses[iteration] = row['loss']
            else:
                for name in scores.keys() & row.keys():
                    scores[name][iteration] = row[name]
    return losses, scores


def _rows(file: Path) -> Iterator[dict]:
    """What was logged, line by line; a killed run may have left half a line at the end, which is reported."""
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines) or line.endswith('\n'):
                sys.exit(f'{file}: line {number} is no JSON ({error})')
            print(f'{file}: its last line was cut off and is left out', file=sys.stderr)


def run(args: argparse.Namespace) -> None:
    losses, scores = read_scalars(args.work_dir, [*args.metrics, 'val_loss'])
    validation = scores.pop('val_loss')
    from matplotlib.figure import Figure

    from ..files import replacing

    figure = Figure(figsize=(10, 4), layout='constrained')
    loss_axis, score_axis = figure.subplots(1, 2)
    loss_axis.plot(list(losses), list(losses.values()), label='training')
    loss_axis.set(xlabel='iteration', ylabel='loss', title='loss')
    if validation:
        loss_axis.plot(list(validation), list(validation.values()), 'o-', label='validation')
        loss_axis.legend()
    for name, values in scores.items():
        if values:
            score_axis.plot(list(values), list(values.values()), 'o-', label=name)
    score_axis.set(xlabel='iteration', title='validation', ylim=(0, None))
    if any(scores.values()):
        score_axis.legend()
    for axis in (loss_axis, score_axis):
        axis.grid(alpha=0.3)
    with replacing(args.out) as part:
        figure.savefig(part, dpi=110)
    print(f'{args.out}: {len(losses)} losses, {max(map(len, scores.values()))} validations')
