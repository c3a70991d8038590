"""Convert a published checkpoint to this package's keys and check it against the model.

    mmroad convert rba swin_b_1dl.pth work_dirs/rba_swin_b_1dl.pth

Keys that are missing, left over or of another shape are listed, and nothing is written.
"""

import argparse
import pkgutil
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    package = [str(Path(__file__).parents[1] / 'converters')]
    sources = sorted(m.name for m in pkgutil.iter_modules(package) if not m.name.startswith('_'))
    parser.add_argument('source', choices=sources, help='where the checkpoint comes from')
    parser.add_argument('input', help='the published file (.pth, .pkl, ...)')
    parser.add_argument('output', help='the .pth to write')
    parser.add_argument('--config', help='name or path of the config it is for (default: the source says)')
    parser.add_argument(
        '--classes',
        help="detic: names of the classifier's classes (a text or JSON file; default: the config's)",
    )


def run(args: argparse.Namespace) -> None:
    from ..converters import convert_file

    print(convert_file(args.source, args.input, args.output, args.config, args.classes))
    print(f'written: {args.output}')
