"""Score a folder of anomaly maps on a data set.

python tools/analysis_tools/eval_anomaly.py MAPS fishyscapes_laf data/fishyscapes
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('maps', help='folder of NAME.npz, NAME.png or NAME.hdf5')
    parser.add_argument('layout', help='data set: a key of mmroad.anomaly.datasets.LAYOUTS')
    parser.add_argument('root', help="the data set's folder")
    parser.add_argument('--out-file', help='write the scores as JSON')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import json
    import os

    from rich.progress import track

    from mmroad.anomaly.datasets import find_pairs, read_mask
    from mmroad.anomaly.io import find_map, load_map
    from mmroad.anomaly.metric import summary, table
    from mmroad.anomaly.pixel import PixelMetrics

    try:
        metrics = PixelMetrics()
        for image, mask in track(find_pairs(args.layout, args.root), 'images', transient=True):
            metrics.add(load_map(find_map(args.maps, image.stem)), read_mask(mask, args.layout), image.name)
        scores = metrics.compute()
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(table(scores))
    if args.out_file:
        part = f'{args.out_file}.{os.getpid()}.tmp'
        with open(part, 'w') as file:
            json.dump(summary(scores), file, indent=2)
        os.replace(part, args.out_file)


if __name__ == '__main__':
    main()
