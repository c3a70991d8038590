"""Compare methods of anomaly segmentation on every data set below a folder.

    mmroad benchmark anomaly --data data --list
    mmroad benchmark anomaly rba_swin_b_1dl_ood_coco=rba.pth --data data --scores rba eam --out bench
    mmroad benchmark anomaly rba_swin_b_1dl_ood_coco=rba.pth Other=saved/maps --data data --out bench

A method is CONFIG=CHECKPOINT, or a folder of saved maps (FOLDER or NAME=FOLDER) with a subfolder for each data set
(DATASET/NAME.npz, or DATASET/SCORE/NAME.npz). Each image is inferred once for all scores. Below OUT are table.md,
table.csv, table.tex and results/DATASET/METHOD/SCORE/ with curves and the hardest images; a second run takes what is
there where neither files nor options changed. Several processes may work in one OUT, each with --datasets of its own;
the last one is a run with all, which writes the table. The exit status is 1 where something was left out.
"""

from __future__ import annotations

import argparse
import sys

from ..shared import add_amp, add_device, add_out, add_trust, use_device

CONVENTIONS = ('first', 'above', 'nearest', 'rba')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'methods', nargs='*', metavar='MODEL', help='CONFIG=CHECKPOINT, NAME=FOLDER or FOLDER'
    )
    parser.add_argument('--data', required=True, help='folder below which the data sets lie')
    parser.add_argument(
        '--list', action='store_true', help='list the data sets that are there, and those that are not'
    )
    parser.add_argument('--datasets', nargs='+', help='these alone, by their names in --list')
    parser.add_argument('--scores', nargs='+', help="other scores of the models than their configs'")
    parser.add_argument(
        '--fpr95',
        choices=CONVENTIONS,
        default='first',
        help='threshold of FPR95: the first with TPR >= 0.95, the first above it, the nearest, or as RbA has it '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--keep-maps', action='store_true', help='keep the maps, OUT/maps/DATASET/METHOD/SCORE'
    )
    add_out(parser, 'folder that is written', required=False)
    add_device(parser)
    add_amp(parser)
    add_trust(parser)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.list:
        return
    if not args.methods:
        parser.error('the following arguments are required: MODEL (or --list)')
    if not args.out:
        parser.error('the following arguments are required: --out')


def run(args: argparse.Namespace) -> int:
    from ...anomaly.found_sets import find_sets, list_text

    sets = find_sets(args.data, args.datasets)
    if args.list:
        print(list_text(sets))
        return 0
    from pathlib import Path

    from ...anomaly.benchmark import Benchmark, methods_of
    from ...anomaly.benchmark_table import csv_text, latex, markdown, rows_of, terminal
    from ...files import write_text

    methods = methods_of(args.methods)
    device = use_device(args.device) if any(method.config for method in methods) else None

    def make(config: str, weights: str):
        from ...inference.build import inferencer

        weights_or_none = None if weights == 'none' else weights
        return inferencer(config, weights_or_none, device, amp=args.amp, trust=args.trust_checkpoint)

    out = Path(args.out)
    scores = list(dict.fromkeys(args.scores)) if args.scores else None
    benchmark = Benchmark(out, scores, make, dict(amp=args.amp), args.keep_maps, _say)
    rows = rows_of(benchmark.run(methods, sets), args.fpr95)
    for found in sets:
        if found.pairs and found.note:
            print(f'note: {found.note}', file=sys.stderr)
    if rows:
        texts = {'md': markdown(rows, args.fpr95), 'csv': csv_text(rows), 'tex': latex(rows, args.fpr95)}
        for end, text in texts.items():
            write_text(out / f'table.{end}', text)
        print(f'\n{terminal(rows)}\n\ntable.md, table.csv and table.tex are in {out}')
    if benchmark.left_out:
        lines = [f'  {text}' for text in benchmark.left_out]
        print('\n'.join([f'left out ({len(lines)}):', *lines]), file=sys.stderr)
    return bool(benchmark.left_out)


def _say(text: str) -> None:
    """Progress on a terminal; lines elsewhere, without those that only count images."""
    if not text.startswith('\r'):
        print(text, flush=True)
    elif sys.stderr.isatty():
        print(text, end='', file=sys.stderr, flush=True)
