"""Write a CenterNet2 Detic model with a fixed vocabulary as ONNX, and check it with onnxruntime.

    mmroad export Detic_LCOCOI21k_CLIP_R5021k_640b32_4x_ft4x_max-size detic.pth detic.onnx \\
        --vocabulary data/embeddings/bdd100k.safetensors --size 384 640 --check street.jpg

Inputs: image (1, 3, H, W) float BGR 0..255, the picture in the upper left corner and zeros beside it; valid (2,) float,
its height and width. Outputs: boxes (n, 4), scores, labels and mask probabilities (n, 28, 28) over each box. Operators:
ONNX's own (opset 16). Needs the package onnx, the check onnxruntime.
"""

import argparse

from .shared import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('checkpoint')
    parser.add_argument('output', help='the .onnx to write')
    parser.add_argument(
        '--vocabulary', help=".safetensors file of named class embeddings (default: the model's)"
    )
    parser.add_argument('--size', type=int, nargs=2, default=(800, 1344), metavar=('H', 'W'))
    parser.add_argument('--score', type=float, help="least score of a detection (default: the config's)")
    parser.add_argument('--no-masks', action='store_true')
    parser.add_argument('--check', metavar='IMAGE', help='compare with PyTorch on this image')


def run(args: argparse.Namespace) -> None:
    from ..detic.export import compare, export_onnx
    from ..detic.vocabulary import load_vocabulary
    from ..zoo.models import init_model

    model = init_model(args.config, args.checkpoint)
    if args.score is not None:
        model.roi_head.test_cfg.score_thr = args.score
    if args.vocabulary:
        model.set_vocabulary(load_vocabulary(args.vocabulary))
    elif model.vocabulary is not None:
        model.roi_head.set_classifier(model.classifier_of(model.vocabulary))
    module = export_onnx(model, args.output, tuple(args.size), not args.no_masks)
    print(f'written: {args.output}')
    if args.check:
        report = compare(module, args.output, *letterbox(args.check, args.size))
        print('ONNX and PyTorch:', ', '.join(f'{k} {v:.3g}' for k, v in report.items()))


def letterbox(path, size):
    """The image, scaled to fit, in the upper left corner of the input, and its size there."""
    import torch
    from mmcv import imrescale

    from ..files import read_image

    image = read_image(path)
    image = imrescale(image, min(size[0] / image.shape[0], size[1] / image.shape[1]))
    canvas = torch.zeros(1, 3, *size)
    canvas[0, :, : image.shape[0], : image.shape[1]] = torch.from_numpy(image).permute(2, 0, 1)
    return canvas, torch.tensor([float(s) for s in image.shape[:2]])
