"""Draw a small LVIS-like set of shapes, with boxes and image labels, for a trial of Detic.

python tools/dataset_converters/make_drawn_shapes.py data/drawn_shapes
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('output', help='the folder to write')
    parser.add_argument('--train', type=int, default=300, help='images with boxes (default: 300)')
    parser.add_argument('--weak', type=int, default=240, help='image-labelled images (default: 240)')
    parser.add_argument('--val', type=int, default=100, help='images to test on (default: 100)')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.detic.drawn_shapes import write_shapes

    try:
        write_shapes(args.output, args.train, args.weak, args.val, seed=args.seed)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'{args.train} + {args.weak} + {args.val} images: {args.output}')


if __name__ == '__main__':
    main()
