"""Draw a small LVIS-like set of shapes, with boxes and image labels, for a trial of Detic.

mmroad data drawn-shapes data/drawn_shapes
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('output', help='the folder to write')
    parser.add_argument('--train', type=int, default=300, help='images with boxes (default: 300)')
    parser.add_argument('--weak', type=int, default=240, help='image-labeled images (default: 240)')
    parser.add_argument('--val', type=int, default=100, help='images to test on (default: 100)')
    parser.add_argument('--seed', type=int, default=0)


def run(args: argparse.Namespace) -> None:
    from ...detic.drawn_shapes import write_shapes

    write_shapes(args.output, args.train, args.weak, args.val, seed=args.seed)
    print(f'{args.train} + {args.weak} + {args.val} images: {args.output}')
