"""Compare methods of anomaly segmentation on every data set below a folder.

    mmroad benchmark anomaly --data data --list
    mmroad benchmark anomaly rba_swin_b_1dl_ood_coco=rba.pth --data data --scores rba eam --out bench
    mmroad benchmark anomaly rba_swin_b_1dl_ood_coco=rba.pth Other=saved/maps --data data --out bench

A method is CONFIG=CHECKPOINT, or a folder of saved maps (FOLDER or NAME=FOLDER) with a subfolder for each data set
(DATASET/NAME.npz, or DATASET/SCORE/NAME.npz). Each image is inferred once for all scores. Below OUT are table.md,
table.csv, table.tex and results/DATASET/METHOD/SCORE/ with curves and the hardest images; a second run takes what is
there where neither files nor options changed. Several processes (--processes) share the work, or several machines in
one OUT, each with --datasets of its own; a last run with all writes the table then. --report adds a page of each data
set, OUT/report/DATASET/index.html. The exit status is 1 where something was left out.
"""

from __future__ import annotations

import argparse
import sys

from ..shared import add_amp, add_device, add_out, add_trust, use_device

#: Results that fit side by side into a report.
SHOWN = 4
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
    parser.add_argument(
        '--report',
        action='store_true',
        help=f'also write a page of each data set, of its first {SHOWN} results; keeps the maps',
    )
    parser.add_argument(
        '--processes', type=int, default=1, help='so many work at once, each on a method and data set'
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
    if args.processes < 1:
        parser.error('--processes is at least 1')


def run(args: argparse.Namespace) -> int:
    from ...anomaly.found_sets import find_sets, list_text

    sets = find_sets(args.data, args.datasets)
    if args.list:
        print(list_text(sets))
        return 0
    from functools import partial
    from pathlib import Path

    from ...anomaly.benchmark import Benchmark, methods_of
    from ...anomaly.benchmark_table import csv_text, latex, markdown, rows_of, terminal
    from ...files import write_text

    methods = methods_of(args.methods)
    device = use_device(args.device) if any(method.config for method in methods) else None
    make = partial(_inferencer, device, args.amp, args.trust_checkpoint)
    out = Path(args.out)
    scores = list(dict.fromkeys(args.scores)) if args.scores else None
    keep = args.keep_maps or args.report
    benchmark = Benchmark(out, scores, make, dict(amp=args.amp), keep, _say)
    results = benchmark.run(methods, sets, args.processes)
    rows = rows_of(results, args.fpr95)
    for found in sets:
        if found.pairs and found.note:
            print(f'note: {found.note}', file=sys.stderr)
    if rows:
        texts = {'md': markdown(rows, args.fpr95), 'csv': csv_text(rows), 'tex': latex(rows, args.fpr95)}
        for end, text in texts.items():
            write_text(out / f'table.{end}', text)
        print(f'\n{terminal(rows)}\n\ntable.md, table.csv and table.tex are in {out}')
    if args.report:
        _report(benchmark, methods, sets, results)
    if benchmark.left_out:
        lines = [f'  {text}' for text in benchmark.left_out]
        print('\n'.join([f'left out ({len(lines)}):', *lines]), file=sys.stderr)
    return bool(benchmark.left_out)


def _inferencer(device: str | None, amp: bool, trust: bool, config: str, weights: str):
    """The inferencer of a model; made in the process that uses it."""
    from ...inference.build import inferencer

    return inferencer(config, None if weights == 'none' else weights, device, amp=amp, trust=trust)


def _report(benchmark, methods, sets, results) -> None:
    """Write a page of each data set that has results."""
    from ...files.progress import track
    from ...report.anomaly import write_anomaly_report

    by_name = {method.name: method for method in methods}
    only = sum(bool(found.pairs) for found in sets) == 1
    for found in sets:
        own = [result for result in results if result['dataset'] == found.name]
        if not own:
            continue
        place = benchmark.out / 'report' / found.name.replace('/', '+')
        maps = [benchmark.maps_of(by_name[r['method']], found, r['score'], only) for r in own[:SHOWN]]
        names = [f'{result["method"]} {result["score"]}' for result in own[:SHOWN]]
        try:
            left = write_anomaly_report(found.layout, found.root, maps, place, names, track=track)
        except (OSError, ValueError, KeyError) as error:
            benchmark.left_out.append(f'{place}: {error}')
            continue
        benchmark.left_out += [f'{place}: {text}' for text in left]
        beyond = f', the first {SHOWN} of {len(own)} results' if len(own) > SHOWN else ''
        print(f'report: {place / "index.html"}{beyond}')


def _say(text: str) -> None:
    """Progress on a terminal; lines elsewhere, without those that only count images."""
    if not text.startswith('\r'):
        print(text, flush=True)
    elif sys.stderr.isatty():
        print(text, end='', file=sys.stderr, flush=True)
