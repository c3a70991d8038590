"""Look through a data set for what may be wrong: images, boxes, classes, and splits that share images.

mmroad labels check data/forklifts
mmroad labels check data/forklifts --out checked     # checked/check.html with pictures, checked/check.json

Exit status 1: something is wrong (lines that begin with WRONG).
"""

from __future__ import annotations

import argparse

from ..shared import add_out
from . import add_source, check_form


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_out(parser, 'folder of the page (check.html, check.json)', required=False)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    check_form(parser, args.form)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ...files import write_json
    from ...files.progress import track
    from ...labels.check import as_json, check, summary
    from ...labels.formats import read_sets
    from ...labels.stats import statistics

    sets = read_sets(args.source, args.form, args.images)
    found = check(sets, lambda images, split: track(images, split or 'images'))
    numbers = {split: statistics(labels) for split, labels in sets.items()}
    print(
        f'{sum(n["images"] for n in numbers.values())} images, {sum(n["boxes"] for n in numbers.values())} boxes'
    )
    print(summary(found), end='')
    if args.out:
        from ...labels.page import write_page

        folder = Path(args.out)
        write_page(folder / 'check.html', str(args.source), sets, numbers, found)
        write_json(folder / 'check.json', dict(statistics=numbers, findings=as_json(found)), indent=2)
        print(f'written: {folder / "check.html"}, {folder / "check.json"}')
    return 1 if any(finding.wrong for finding in found) else 0
