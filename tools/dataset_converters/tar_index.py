"""Index tar files, so that images inside are read by position: tar_index.py OUT.npz A.tar B.tar ..."""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='the index (.npz)')
    parser.add_argument('tars', nargs='+', help='uncompressed tar files, in the order of the annotations')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from rich.progress import Progress

    from mmroad.detic.tar import build_index

    try:
        with Progress(transient=True) as bar:
            task = bar.add_task('tar files', total=len(args.tars))
            number = build_index(args.tars, args.out, lambda _: bar.advance(task))
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'{args.out}: {number} files in {len(args.tars)} tar files')


if __name__ == '__main__':
    main()
