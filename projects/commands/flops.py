"""Parameters and FLOPs of a model: mmroad flops CONFIG [--shape 720 1280]"""

import argparse

from .shared import add_cfg_options, add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('--shape', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    import logging

    from ..zoo.configs import get_config
    from ..zoo.flops import count
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    logging.disable(logging.INFO)  # mmengine tells of every layer how it is initialized
    counted = count(cfg, tuple(args.shape))
    print(f'input {args.shape[1]}x{args.shape[0]} (padded to {counted.width}x{counted.height})')
    print(f'parameters {counted.parameters / 1e6:.2f} M')
    print(f'multiply-adds {counted.multiply_adds / 1e9:.1f} G')
