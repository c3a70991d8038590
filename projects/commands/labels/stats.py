"""Count images and boxes, by split, class and size.

mmroad labels stats data/forklifts
mmroad labels stats data/bdd100k --out stats.json
"""

from __future__ import annotations

import argparse

from ..shared import add_out
from . import add_source, check_form


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_out(parser, 'also write the numbers to this JSON file', required=False)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    check_form(parser, args.form)


def run(args: argparse.Namespace) -> None:
    from ...files import write_json
    from ...labels.formats import read_sets
    from ...labels.stats import statistics, table

    sets = read_sets(args.source, args.form, args.images)
    numbers = {split: statistics(labels) for split, labels in sets.items()}
    print(table(numbers), end='')
    for labels in sets.values():
        for line in labels.losses.lines():
            print(f'not read: {line}')
    if args.out:
        write_json(args.out, numbers, indent=2)
        print(f'written: {args.out}')
