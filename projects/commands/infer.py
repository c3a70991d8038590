"""Run a model on an image, a folder, a glob (quoted) or a video.

    mmroad infer faster_rcnn_r50_fpn_3x_det_bdd100k published 'drives/*.jpg' --out out
    mmroad infer rba_swin_b_1dl_ood_coco rba.pth street.jpg --out out
    mmroad infer video_maskformer2_R101_bs16_8ep-rankseg_vspw vspw.pth drive.mp4 --out out
    mmroad infer faster.onnx 'drives/*.jpg' --out out

Detectors write pictures/, det.json (BDD100K's format) and det.coco.json; open vocabularies also results.json (COCO's,
with masks); segmentation classes/NAME.png and classes.json; anomaly segmentation also anomaly/NAME.npz; models of
videos NAME.mp4 and classes/ or results.json. What cannot be read is left out and listed at the end, with exit status
1. An option of another kind of model is an error.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

from .shared import (
    add_amp,
    add_cfg_options,
    add_config,
    add_device,
    add_out,
    add_runtime,
    add_trust,
    add_words,
    use_device,
    vocabulary_of,
)

if TYPE_CHECKING:
    from ..inference.base import Inferencer, Run

WORDS = ('vocabulary', 'classes', 'embeddings', 'encoder')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        'checkpoint', help='file, "published" or "none"; left out where CONFIG is an .onnx file'
    )
    parser.add_argument('source', nargs='*', help='image, folder, glob or video; several are one run')
    add_out(parser, 'folder that is written')
    parser.add_argument(
        '--threshold', type=float, help='scores from which is drawn (default: 0.3; open vocabularies 0.5)'
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        metavar='N',
        help='images of one size that are in the network together',
    )
    parser.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='threads that work on images (default: a few, by the processor)',
    )
    engine = parser.add_argument_group(
        'many images',
        'OUT/results/shard-*.jsonl hold a Scalabel frame a line; a run that is repeated does what is left',
    )
    engine.add_argument(
        '--engine', choices=['ray'], help='share the images among the workers of a Ray cluster'
    )
    engine.add_argument('--shard-size', type=int, default=256, help='images a shard (default: %(default)s)')
    engine.add_argument(
        '--ray-address', help="the cluster's address (default: one on this machine is started)"
    )
    add_device(parser)
    add_amp(parser)
    add_cfg_options(parser)
    add_trust(parser)
    add_runtime(parser)
    anomaly = parser.add_argument_group('anomaly segmentation')
    anomaly.add_argument('--score', help="another anomaly score than the config's")
    anomaly.add_argument(
        '--scale', type=float, nargs=2, metavar=('LOW', 'HIGH'), help="the heat map's scores"
    )
    words = add_words(parser, '--classes')
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


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.config.endswith('.onnx'):
        args.source = [args.checkpoint, *args.source]
        if args.cfg_options or args.amp or args.engine:
            parser.error(
                'an .onnx file has no --cfg-options and no --amp, which are chosen when it is written, and no --engine'
            )
    elif args.runtime is not None:
        parser.error('--runtime is of .onnx files (mmroad export)')
    elif not args.source:
        parser.error('the following arguments are required: source')


def run_file(args: argparse.Namespace) -> int:
    """Run an ONNX file."""
    from ..export.inferencer import inferencer

    names = ('threshold', 'score', 'scale')
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    refused = [
        k
        for k in ('features', 'all_classes', 'masks', 'clip_length', 'overlap', 'fps', *WORDS)
        if getattr(args, k) is not None
    ]
    if refused:
        told = ', '.join('--' + k.replace('_', '-') for k in refused)
        raise ValueError(
            f'{args.config} is an exported model, which has no {told}: what it gives is fixed in the file'
        )
    infer = inferencer(args.config, args.runtime or 'onnxruntime', args.device or 'cpu', **options)
    source: Any = args.source if len(args.source) > 1 else args.source[0]
    further = dict(batch_size=args.batch_size, workers=args.workers)
    if args.annotations is not None:
        if infer.kind != 'open_vocabulary':
            raise ValueError(f'{args.config} is a {infer.kind} model, which has no --annotations')
        further['annotations'] = args.annotations
    return go_through(infer.run(source, args.out, **further), args.out)


def run(args: argparse.Namespace) -> int:
    if args.config.endswith('.onnx'):
        return run_file(args)
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
    if args.engine:
        return _in_shards(args, cls, {k: v for k, v in given.items() if k in options_of(cls)})
    device = use_device(args.device)
    options = {k: v for k, v in given.items() if k in options_of(cls)}
    if cls.kind == 'open_vocabulary' and (args.vocabulary or args.classes):
        options['vocabulary'] = vocabulary_of(args, args.classes, args.checkpoint)
    elif cls.kind == 'words' and (args.vocabulary or args.classes):
        from ..detic.vocabulary import load_vocabulary, parse_words

        options['vocabulary'] = (
            load_vocabulary(args.vocabulary) if args.vocabulary else parse_words(args.classes)
        )
    weights = None if args.checkpoint == 'none' else args.checkpoint
    infer = cls(cfg, weights=weights, device=device, trust=args.trust_checkpoint, amp=args.amp, **options)
    source: Any = args.source if len(args.source) > 1 else args.source[0]
    further = {k: v for k, v in given.items() if k in run_options}
    if cls.kind != 'video':
        further.update(batch_size=args.batch_size, workers=args.workers)
    elif args.batch_size != 1 or args.workers:
        raise ValueError(
            f'{args.config} is a video model: --clip-length, not --batch-size, says how many frames it takes'
        )
    return go_through(infer.run(source, args.out, **further), args.out)


def _in_shards(args: argparse.Namespace, cls: type[Inferencer], options: dict[str, Any]) -> int:
    """Run the images in shards on Ray and list what was left out."""
    from ..files.sources import open_source
    from ..inference.on_ray import run_on_ray
    from ..inference.shards import left_out_of, make_shards

    if cls.kind == 'video' or args.classes or args.vocabulary:
        raise ValueError('--engine is for models of images with classes of their own')
    config, weights = (os.path.abspath(p) if os.path.isfile(p) else p for p in (args.config, args.checkpoint))
    model: dict[str, Any] = dict(
        model=config,
        weights=None if weights == 'none' else weights,
        device=args.device,
        trust=args.trust_checkpoint,
        amp=args.amp,
        cfg_options=_parsed(args),
        **options,
    )
    source = open_source(args.source if len(args.source) > 1 else args.source[0])
    identity = {k: v for k, v in model.items() if k not in ('device', 'trust')}
    shards = make_shards(source, args.out, args.shard_size, identity)
    lost = run_on_ray(
        shards, model, workers=args.workers, batch_size=args.batch_size, address=args.ray_address
    )
    left_out = {**source.left_out, **left_out_of(shards)}
    done = sum(len(s.items) for s in shards if s.done) - len(left_out_of(shards))
    parts = f'{sum(s.done for s in shards)} of {len(shards)} shards'
    print(f'results of {done} of {len(source.items)} images in {parts} in {args.out}')
    lines = [f'  shard {s.number}: its workers died, from {s.items[0].name} on' for s in lost]
    lines += [f'  {name}: {reason}' for name, reason in left_out.items()]
    if lines:
        print('\n'.join([f'left out ({len(lines)}):', *lines]), file=sys.stderr)
    return bool(lines)


def _parsed(args: argparse.Namespace) -> dict[str, Any]:
    """Keys and values of ``--cfg-options``."""
    from ..zoo.options import parse_value

    pairs = (option.split('=', 1) for option in args.cfg_options or [])
    return {key: parse_value(text) for key, text in pairs}


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
