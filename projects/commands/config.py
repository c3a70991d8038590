"""Print a config with everything it inherits, as a Python file that runs by itself.

mmroad config faster_rcnn_r50_fpn_1x_det_bdd100k > my.py
"""

import argparse

from .shared import add_cfg_options, add_config, add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_out(parser, 'write it here, not to the terminal', required=False)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from ..files import write_text
    from ..zoo.configs import as_python, get_config
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    if not args.out:
        print(as_python(cfg), end='')
        return
    write_text(args.out, as_python(cfg))
    print(args.out)
