"""Refine anomaly maps by the boxes of unknown objects: false alarms outside of them fall behind (DetSeg-R).

    mmroad infer DETECTOR CHECKPOINT IMAGES --classes 'car,person,animal,box,...' --out boxes
    mmroad scores refine MAPS boxes/det.json --out REFINED

Every command that takes a folder of maps takes REFINED. Boxes of the known classes hold others back.
"""

import argparse

from ..shared import add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('scores', help='folder of anomaly maps (NAME.npz, .npy, .png or .hdf5)')
    parser.add_argument('boxes', help='boxes of the same images with scores, a Scalabel file (det.json)')
    add_out(parser, 'folder for the refined maps, NAME.npz')
    parser.add_argument(
        '--known', nargs='+', metavar='CLASS', help="classes that are not unknown (default: Cityscapes')"
    )
    parser.add_argument(
        '--min-score', type=float, default=0.2, help='least score of a box (default: %(default)s)'
    )
    parser.add_argument(
        '--boost', type=float, default=1.0, help='what is added inside the boxes (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from ...anomaly.io import find_map, load_map, map_names, save_map
    from ...anomaly.refinement import KNOWN, BoxRefinement
    from ...files import OutputNames

    if not (names := map_names(args.scores)):
        raise FileNotFoundError(f'{args.scores}: no anomaly map in this folder')
    sources = [find_map(args.scores, name) for name in names]
    refine = BoxRefinement(args.boxes, args.known or KNOWN, args.min_score, args.boost)
    if lacking := [name for name in names if name not in refine.boxes]:
        raise ValueError(
            f'{args.boxes}: no frame of {lacking[0]} ({len(lacking)} of {len(names)} are missing)'
        )
    outputs = OutputNames(args.out, sources)
    places = [outputs.path(f'{name}.npz') for name in names]
    for name, source, place in zip(names, sources, places):
        save_map(Path(place).with_suffix(''), refine(name, load_map(source)))
    count = sum(len(refine.boxes[name]) for name in names)
    print(f'{len(names)} maps, {count} boxes of unknown objects: {args.out}')
