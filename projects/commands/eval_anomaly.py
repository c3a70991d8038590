"""Score a folder of anomaly maps on a data set.

mmroad eval-anomaly MAPS fishyscapes_laf data/fishyscapes
"""

import argparse
import sys

from .shared import add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('maps', help='folder of NAME.npz, .npy, .png or .hdf5')
    parser.add_argument('layout', help='data set: a key of mmroad.anomaly.layouts.LAYOUTS')
    parser.add_argument('root', help="the data set's folder")
    add_out(parser, 'write data.json, images.csv (the hardest first), curves.png here', required=False)
    parser.add_argument('--out-file', help='write the scores as JSON')
    parser.add_argument(
        '--smiyc',
        choices=('anomaly', 'obstacle', 'issu', 'off'),
        help="SMIYC's official pixel and component metrics of a track, or ISSU's (default: on for their data sets)",
    )
    parser.add_argument('--legacy-hist', action='store_true', help="Meta-OOD's 100-bin numbers")
    parser.add_argument('--hardest', type=int, default=5, help='images to list (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from ..anomaly.benchmark import TRACKS
    from ..anomaly.layouts import find_pairs
    from ..anomaly.report import COLUMNS, FolderScores, further_numbers, plain, write
    from ..files import write_json
    from ..files.progress import track

    official = args.smiyc or TRACKS.get(args.layout)
    try:
        for folder in filter(None, (args.out, args.out_file and Path(args.out_file).parent)):
            Path(folder).mkdir(parents=True, exist_ok=True)  # before the work: it may not be possible
        found = FolderScores(
            find_pairs(args.layout, args.root),
            args.layout,
            args.maps,
            track=None if official == 'off' else official,
            legacy=args.legacy_hist,
            progress=track,
        )
    except (ImportError, OSError, KeyError, ValueError) as error:
        sys.exit(f'error: {error.args[0] if isinstance(error, KeyError) else error}')
    scores = found.scores.summary()
    print(found.scores.table())
    print(further_numbers(found.smiyc, found.legacy), end='\n\n')
    print(f'{"hardest images":40}' + ''.join(f'{name:>10}' for name in COLUMNS[1:]))
    for name, outliers, *shares in found.images[: args.hardest]:
        print(f'{name:40}{outliers:10}' + ''.join(f'{100 * share:10.2f}' for share in shares))
    if args.out:
        write(args.out, plain(scores) | found.data())
    if args.out_file:
        write_json(args.out_file, plain(scores), indent=2)
    notes = [found.scores.note, found.smiyc.get('note'), found.legacy.get('note')]
    if any(notes):  # printed above; less was done than was asked for
        sys.exit('error: ' + '; '.join(str(note) for note in notes if note))
