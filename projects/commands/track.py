"""Follow the objects of a video, or of folders of frames, with any detector of the zoo or a model that tracks.

    mmroad track drive.mp4 --detector faster_rcnn_r50_fpn_3x_det_bdd100k --weights published --out out
    mmroad track frames --fps 5 --detector CONFIG --weights det.pth --tracker ocsort --classes vote --out out
    mmroad track drive.mp4 --detector Detic_... --weights detic.pth --words 'dog,scooter=e-scooter' --out out

Writes NAME.mp4, or pictures/NAME of a folder (boxes, ids, trails), box_track.json and box_track.zip (BDD100K's format),
mot/VIDEO.txt (MOTChallenge) and coco_vid.json. A folder's images, in natural order, are one video each folder. What
cannot be read is listed at the end, with exit status 1; its frames are in the files, without a track.
"""

from __future__ import annotations

import argparse

from .shared import (
    add_amp,
    add_cfg_options,
    add_device,
    add_out,
    add_trust,
    add_words,
    use_device,
    vocabulary_of,
)

#: Options of the trackers and their places in `mmroad.tracking`.
TUNING = ('memory', 'high', 'low', 'init')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', nargs='+', help='video, folder of frames, or glob; several are one run')
    parser.add_argument('--detector', required=True, help='config file, or name of a model (`mmroad list`)')
    parser.add_argument('--weights', required=True, help='its checkpoint: a file, "published" or "none"')
    add_out(parser, 'folder that is written')
    parser.add_argument(
        '--tracker', choices=('byte', 'ocsort'), help="default: byte, or the model's own where it tracks"
    )
    parser.add_argument(
        '--classes',
        choices=('own', 'any', 'vote'),
        default='own',
        help='boxes join tracks of their class alone, of any class, or of any class and get the label that their '
        'track had most of (default: %(default)s)',
    )
    parser.add_argument('--fps', type=float, help='frames a second of folders of images (default: 5)')
    parser.add_argument('--camera', action='store_true', help="find the camera's motion and allow for it")
    parser.add_argument(
        '--memory', type=float, help='seconds for which a lost object is remembered (default: 1)'
    )
    parser.add_argument('--high', type=float, help='scores from which detections are sure')
    parser.add_argument('--low', type=float, help='scores below which detections are left out (default: 0.1)')
    parser.add_argument('--init', type=float, help='scores from which a track begins (default: 0.7)')
    add_device(parser)
    add_amp(parser)
    add_cfg_options(parser)
    add_trust(parser)
    add_words(parser, '--words')


def run(args: argparse.Namespace) -> int:
    from ..inference.build import inferencer_class
    from ..inference.tracking import TrackInferencer
    from ..zoo.configs import get_config
    from ..zoo.options import merge_options
    from .infer import go_through

    cfg = get_config(args.detector)
    merge_options(cfg, args.cfg_options)
    kind = inferencer_class(cfg).kind
    if kind not in ('detection', 'open_vocabulary', 'tracking'):
        raise ValueError(
            f'{args.detector} is a {kind} model, which finds no boxes to follow: give a detector'
        )
    options = dict(device=use_device(args.device), trust=args.trust_checkpoint, amp=args.amp)
    options['weights'] = None if args.weights == 'none' else args.weights
    if args.vocabulary or args.words:
        if kind != 'open_vocabulary':
            raise ValueError(
                f'{args.detector} has classes of its own: --words and --vocabulary are for Detic'
            )
        options['vocabulary'] = vocabulary_of(args, args.words, args.weights)
    if kind == 'open_vocabulary':
        options['masks'] = False
    tuning = {key: getattr(args, key) for key in TUNING if getattr(args, key) is not None}
    track = TrackInferencer(
        cfg, args.tracker, args.classes, args.fps, args.camera, tracker_options=tuning, **options
    )
    source = args.source if len(args.source) > 1 else args.source[0]
    return go_through(track.run(source, args.out), args.out, 'frames')
