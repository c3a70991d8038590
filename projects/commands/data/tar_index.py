"""Index tar files, so that images inside are read by position: tar_index.py OUT.npz A.tar B.tar ..."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', help='the index (.npz)')
    parser.add_argument('tars', nargs='+', help='uncompressed tar files, in the order of the annotations')


def run(args: argparse.Namespace) -> None:
    from rich.progress import Progress

    from ...detic.tar import build_index

    with Progress(transient=True) as bar:
        task = bar.add_task('tar files', total=len(args.tars))
        number = build_index(args.tars, args.out, lambda _: bar.advance(task))
    print(f'{args.out}: {number} files in {len(args.tars)} tar files')
