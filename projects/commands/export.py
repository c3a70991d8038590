"""Write a model as ONNX with standard operators, and check it against PyTorch.

    mmroad export faster_rcnn_r50_fpn_3x_det_bdd100k published --out faster.onnx
    mmroad export rba_swin_b_1dl_ood_coco rba.pth --out rba.onnx --size 1024 2048
    mmroad export retinanet_r50_fpn_3x_det_bdd100k published --out retina.onnx --dynamic --check 'drives/*.jpg'
    mmroad export faster_rcnn_r50_fpn_3x_det_bdd100k published --out faster.onnx --int8 data/bdd100k/images/100k/train

uint8 RGB images (batch, height, width, 3) go in; boxes, scores, labels, masks and maps in their pixels come out (opset
17, docs/onnx.md). The file is compared with PyTorch on two images before it gets its name: differences are printed and
kept in it, and beyond tolerance there is no file. `mmroad infer FILE.onnx` and `mmroad test CONFIG FILE.onnx` run it.
Needs onnx and onnxruntime.
"""

from __future__ import annotations

import argparse

from .shared import add_cfg_options, add_config, add_out, add_trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('checkpoint', help='file, "published" or "none"')
    add_out(parser, 'the .onnx that is written')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='of the images that it takes (default: 720 1280)',
    )
    sizes.add_argument(
        '--dynamic',
        action='store_true',
        help='any height, width and, where the model allows, number of images',
    )
    parser.add_argument(
        '--check',
        metavar='SOURCE',
        help='compare on the first two images of it (default: two drawn road scenes)',
    )
    parser.add_argument('--half', action='store_true', help='backbone and neck in float16')
    parser.add_argument(
        '--int8',
        metavar='SOURCE',
        help='calibration images: write NAME.int8.onnx, quantized with them, beside the file',
    )
    parser.add_argument('--calibration', type=int, default=100, help='at most so many of them (default: 100)')
    parser.add_argument('--score-thr', type=float, help="least score of a detection (default: the config's)")
    parser.add_argument('--score', help="anomaly segmentation: another score than the config's")
    parser.add_argument(
        '--vocabulary', help="open vocabulary: .safetensors file of class embeddings (default: the model's)"
    )
    parser.add_argument('--no-masks', action='store_true', help='boxes alone')
    add_cfg_options(parser)
    add_trust(parser)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if not args.out.endswith('.onnx'):
        parser.error(f'--out ends in .onnx, not {args.out!r}')
    if args.half and args.int8:
        parser.error('--half and --int8 are two files: write one after the other')
    if args.size and min(args.size) < 32:
        parser.error('--size is in pixels, 32 at least')
    if args.calibration < 1:
        parser.error('--calibration is a number of images, 1 at least')


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ..export.packages import need

    need('onnx', 'onnxruntime')
    from ..export.quantize import images_of, quantize
    from ..export.session import metadata_of
    from ..export.write import export
    from ..zoo.configs import get_config
    from ..zoo.models import init_model
    from ..zoo.options import merge_options

    cfg = get_config(args.config)
    merge_options(cfg, args.cfg_options)
    if args.score_thr is not None:
        thresholds = (cfg.model.get('test_cfg') or {}).get('rcnn') or cfg.model.get('test_cfg') or {}
        if 'score_thr' not in thresholds:
            raise ValueError(f'{args.config} has no threshold of scores: leave --score-thr out')
        thresholds['score_thr'] = args.score_thr
    size = None if args.dynamic else tuple(args.size or (720, 1280))
    images = None
    if args.check:
        images = list(images_of(args.check, size, 2))
        if len(images) < 2:
            raise ValueError(f'{args.check}: one image; the check wants two of different content')
    calibration = None if args.int8 is None else list(images_of(args.int8, size, args.calibration))
    weights = None if args.checkpoint == 'none' else args.checkpoint
    model = init_model(cfg, weights, 'cpu', trust=args.trust_checkpoint)
    if args.score:
        if not hasattr(model, 'set_score'):
            raise ValueError(f'{args.config} computes no anomaly score: leave --score out')
        model.set_score(args.score)
    if args.vocabulary:
        if not hasattr(model, 'set_vocabulary'):
            raise ValueError(f'{args.config} has no vocabulary that can be set: leave --vocabulary out')
        from ..detic.vocabulary import load_vocabulary

        model.set_vocabulary(load_vocabulary(args.vocabulary))
    difference = export(
        model,
        args.out,
        size,
        images=images,
        masks=not args.no_masks,
        half=args.half,
        checkpoint=weights,
        name=args.config,
    )
    about = metadata_of(args.out)
    takes = (
        f'images of {size[0]} x {size[1]}, one at a time'
        if size
        else (
            'images of any size, one at a time'
            if about['batch'] == '1'
            else 'images of any size, any number of one size'
        )
    )
    print(f'written: {args.out} ({Path(args.out).stat().st_size / 2**20:.1f} MiB), {takes}')
    print(f'beside PyTorch on two images: {difference}')
    if calibration is not None:
        out = Path(args.out).with_suffix('.int8.onnx')
        quantize(args.out, out, calibration)
        print(
            f'written: {out} ({out.stat().st_size / 2**20:.1f} MiB), of {len(calibration)} calibration images'
        )
        print(f'its scores are others: mmroad test {args.config} {out} tells how good it is')
    return 0
