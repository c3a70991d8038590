"""Convert tracks between BDD100K (box_track_20), MOTChallenge and COCO-VID.

    mmroad data tracks labels/box_track_20/val --to mot --out mot_val --size 1280 720
    mmroad data tracks labels/box_track_20/val --to coco-vid --out val.json --size 1280 720
    mmroad data tracks mot_val --from mot --to box-track --out labels

Labels of BDD100K are read in both forms, today's and the older release's. Of MOTChallenge, VIDEO/gt/gt.txt (ground
truth) and VIDEO.txt (predictions) are read; classes are named by labels.txt or --classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..shared import add_out

FORMS = ('box-track', 'mot', 'coco-vid')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', help='file or folder to read')
    parser.add_argument(
        '--from', dest='source_form', choices=FORMS, default='box-track', help='default: %(default)s'
    )
    parser.add_argument('--to', required=True, choices=FORMS)
    add_out(parser, 'file or folder that is written')
    parser.add_argument(
        '--classes', nargs='+', help="the classes in their order (default: box tracking's eight)"
    )
    parser.add_argument(
        '--size', type=int, nargs=2, default=(1280, 720), metavar=('W', 'H'), help='of images without a size'
    )
    parser.add_argument('--fps', type=float, default=5, help='of the videos, for seqinfo.ini (default: 5)')
    parser.add_argument(
        '--predictions', action='store_true', help='to mot: write VIDEO.txt with scores, not VIDEO/gt/gt.txt'
    )


def run(args: argparse.Namespace) -> int:
    from ...bdd100k.track_columns import TRACK_CLASSES
    from ...files import write_json
    from ...tracking.coco_vid import from_coco_vid, to_coco_vid
    from ...tracking.frames import read_frames
    from ...tracking.mot import from_mot, write_mot

    out = Path(args.out)
    if out.resolve() == Path(args.source).resolve():
        raise ValueError(f'{out} is the source: choose another place')
    if args.source_form == 'box-track':
        frames = read_frames(args.source, args.classes or TRACK_CLASSES)
    elif args.source_form == 'mot':
        frames = from_mot(args.source, args.classes)
    else:
        frames = from_coco_vid(args.source)
    found = dict.fromkeys(label['category'] for f in frames.frames for label in f.get('labels') or ())
    classes = args.classes or (TRACK_CLASSES if found.keys() <= set(TRACK_CLASSES) else tuple(found))
    if other := sorted(found.keys() - set(classes)):
        raise ValueError(f'{args.source}: it has boxes of {", ".join(other)}, which --classes does not name')
    if args.to == 'mot':
        write_mot(frames, out, classes, tuple(args.size), args.fps, truth=not args.predictions)
    elif args.to == 'coco-vid':
        write_json(out, to_coco_vid(frames, classes, tuple(args.size)))
    else:
        frames.write(out)
    labels = sum(len(frame.get('labels') or ()) for frame in frames.frames)
    print(f'{len(frames.by_video())} videos, {len(frames.frames)} frames, {labels} boxes written to {out}')
    return 0
