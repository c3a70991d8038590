"""Index tar files, so that images inside are read by position: tar_index.py OUT.npz A.tar B.tar ..."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', help='the index (.npz)')
    parser.add_argument('tars', nargs='+', help='uncompressed tar files, in the order of the annotations')


def run(args: argparse.Namespace) -> None:
    from ...detic.tar import build_index
    from ...files.progress import steps

    with steps('tar files', len(args.tars)) as advance:
        number = build_index(args.tars, args.out, lambda _: advance())
    print(f'{args.out}: {number} files in {len(args.tars)} tar files')
