"""Convert a published checkpoint to this package's keys and check it against the model.

    python tools/model_converters/convert.py rba swin_b_1dl.pth work_dirs/rba_swin_b_1dl.pth

Keys that are missing, left over or of another shape are listed, and nothing is written.
"""

import argparse
import importlib.util
import pkgutil
import sys


def parse_args() -> argparse.Namespace:
    package = importlib.util.find_spec('mmroad.converters').submodule_search_locations
    sources = sorted(m.name for m in pkgutil.iter_modules(package) if not m.name.startswith('_'))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', choices=sources, help='where the checkpoint comes from')
    parser.add_argument('input', help='the published file (.pth, .pkl, ...)')
    parser.add_argument('output', help='the .pth to write')
    parser.add_argument('--config', help='name or path of the config it is for (default: the source says)')
    parser.add_argument(
        '--classes',
        help="detic: names of the classifier's classes (a text or JSON file; default: the config's)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.converters import convert_file

    try:
        print(convert_file(args.source, args.input, args.output, args.config, args.classes))
    except (ValueError, OSError, KeyError) as error:
        sys.exit(str(error))
    print(f'written: {args.output}')


if __name__ == '__main__':
    main()
