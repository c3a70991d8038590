"""Run a model on an image, a folder, a glob (quoted) or a video.

    mmroad infer faster_rcnn_r50_fpn_3x_det_bdd100k published 'drives/*.jpg' --out out
    mmroad infer rba_swin_b_1dl_ood_coco rba.pth street.jpg --out out
    mmroad infer video_maskformer2_R101_bs16_8ep-rankseg_vspw vspw.pth drive.mp4 --out out

Detectors write pictures/, det.json (BDD100K's format) and det.coco.json; open vocabularies also results.json (COCO's,
with masks); segmentation classes/NAME.png and classes.json; anomaly segmentation also anomaly/NAME.npz; models of
videos NAME.mp4 and classes/ or results.json. What cannot be read is left out and listed at the end, with exit status
1. An option of another kind of model is an error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

from .shared import add_amp, add_cfg_options, add_config, add_device, add_out, add_trust, use_device

if TYPE_CHECKING:
    from ..inference.base import Run

WORDS = ('vocabulary', 'classes', 'embeddings', 'encoder')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('checkpoint', help='file, "published" or "none"')
    parser.add_argument('source', nargs='+', help='image, folder, glob or video; several are one run')
    add_out(parser, 'folder that is written')
    parser.add_argument(
        '--threshold', type=float, help='scores from which is drawn (default: 0.3; open vocabularies 0.5)'
    )
    add_device(parser)
    add_amp(parser)
    add_cfg_options(parser)
    add_trust(parser)
    anomaly = parser.add_argument_group('anomaly segmentation')
    anomaly.add_argument('--score', help="another anomaly score than the config's")
    anomaly.add_argument(
        '--scale', type=float, nargs=2, metavar=('LOW', 'HIGH'), help="the heat map's scores"
    )
    words = parser.add_argument_group('open vocabulary')
    which = words.add_mutually_exclusive_group()
    which.add_argument('--vocabulary', help='.safetensors file of named class embeddings')
    which.add_argument('--classes', help='comma list (NAME or NAME=OTHER); see `mmroad vocabulary --help`')
    words.add_argument(
        '--embeddings',
        action='append',
        metavar='FILE[:NAMES]',
        help="where --classes are looked up (default: the checkpoint's own classifier)",
    )
    words.add_argument(
        '--encoder', choices=('open_clip', 'transformers'), help='for classes that are nowhere'
    )
    words.add_argument(
        '--all-classes', action='store_true', default=None, help='not the best class of a proposal alone'
    )
    words.add_argument(
        '--no-masks', dest='masks', action='store_false', default=None, help='predict boxes alone'
    )
    words.add_argument('--features', action='store_true', default=None, help="write the regions' embeddings")
    words.add_argument('--annotations', help='COCO- or LVIS-style file whose ids results.json uses')
    video = parser.add_argument_group('video')
    video.add_argument('--clip-length', type=int, help="frames in one forward pass (default: the config's)")
    video.add_argument('--overlap', type=int, help="frames that clips share (default: the config's)")
    video.add_argument('--fps', type=float, help="of the video written (default: the source's, or 10)")


def run(args: argparse.Namespace) -> int:
    from ..inference.build import inferencer_class, options_of
    from ..zoo.configs import get_config
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    cls = inferencer_class(cfg)
    known = options_of(cls) | set(
        {'open_vocabulary': WORDS, 'words': ('vocabulary', 'classes')}.get(cls.kind, ())
    )
    run_options = {'open_vocabulary': {'annotations'}, 'video': {'fps'}}.get(cls.kind, set())
    own = {
        'threshold',
        'score',
        'scale',
        'all_classes',
        'masks',
        'features',
        'clip_length',
        'overlap',
        *WORDS,
    }
    given = {
        k: getattr(args, k) for k in sorted(own | {'annotations', 'fps'}) if getattr(args, k) is not None
    }
    if other := [k for k in given if k not in known | run_options]:
        names = ', '.join('--' + ('no-masks' if k == 'masks' else k.replace('_', '-')) for k in other)
        raise ValueError(f'{args.config} is a {cls.kind.replace("_", " ")} model, which has no {names}')
    device = use_device(args.device)
    options = {k: v for k, v in given.items() if k in options_of(cls)}
    if cls.kind == 'open_vocabulary' and (args.vocabulary or args.classes):
        options['vocabulary'] = _vocabulary(args)
    elif cls.kind == 'words' and (args.vocabulary or args.classes):
        options['vocabulary'] = _words(args)
    weights = None if args.checkpoint == 'none' else args.checkpoint
    infer = cls(cfg, weights=weights, device=device, trust=args.trust_checkpoint, amp=args.amp, **options)
    source: Any = args.source if len(args.source) > 1 else args.source[0]
    further = {k: v for k, v in given.items() if k in run_options}
    return go_through(infer.run(source, args.out, **further), args.out)


def _vocabulary(args: argparse.Namespace):
    from ..detic.make_vocabulary import make_vocabulary
    from ..detic.vocabulary import load_vocabulary

    if args.vocabulary:
        return load_vocabulary(args.vocabulary)
    sources = args.embeddings or ([] if args.encoder else [args.checkpoint])
    return make_vocabulary(args.classes, sources, args.encoder)[0]


def _words(args: argparse.Namespace) -> dict[str, str]:
    """Class names, and what stands for each in a caption."""
    from ..detic.vocabulary import load_vocabulary, parse_names, read_lines

    if args.vocabulary:
        return {name: name for name in load_vocabulary(args.vocabulary).names}
    texts = read_lines(args.classes[1:]) if args.classes.startswith('@') else args.classes.split(',')
    pairs = [text.partition('=') for text in texts]
    names = parse_names([name for name, _, _ in pairs])
    return {name: (other or name).strip() for name, (_, _, other) in zip(names, pairs)}


def go_through(run: Run, out: str, results: str = 'images') -> int:
    """Go through a run and say what was written; 1 where something was left out, 130 where it was interrupted."""
    from ..files.sources import LeftOut

    count = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', LeftOut)  # they are listed below
        try:
            for _ in run:
                count += 1
        except KeyboardInterrupt:
            run.close()
            print(f'interrupted: the {count} {results} so far are in {out}', file=sys.stderr)
            return 130
    print(f'{count} {results} written to {out}')
    if run.left_out:
        lines = [f'  {name}: {reason}' for name, reason in run.left_out.items()]
        print('\n'.join([f'left out ({len(lines)}):', *lines]), file=sys.stderr)
    return bool(run.left_out)
