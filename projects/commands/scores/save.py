"""Run a segmentation model of configs/abet on a folder of images and save its anomaly scores.

    mmroad scores save CONFIG CHECKPOINT --images IMAGES --out SCORES

writes an anomaly map a score, SCORES/abet/NAME.npz, SCORES/msp/NAME.npz, ..., each folder as `mmroad eval-anomaly`
takes it, the predicted classes, SCORES/classes/NAME.png, and with --probs the class probabilities that
`mmroad scores meta` needs. NAME is the image's name without folder and suffix; images that share one are refused.
"""

import argparse

from ..infer import go_through
from ..shared import add_device, use_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='name or path of a config')
    parser.add_argument('checkpoint')
    parser.add_argument('--images', required=True, help='folder, file or glob of images')
    parser.add_argument('--out', required=True)
    parser.add_argument('--scores', nargs='+', help="other scores than the config's")
    parser.add_argument('--sml', help='statistics of `mmroad scores sml`: adds the score sml')
    parser.add_argument('--probs', action='store_true', help='also save class probabilities')
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path, PurePath

    import numpy as np
    import torch

    from ...abet.scores import build_scores
    from ...anomaly.io import save_map, save_probabilities
    from ...files import OutputNames, write_image
    from ...files.sources import open_source
    from ...inference.base import run_over
    from ...zoo.models import init_model

    names = OutputNames(Path(args.out) / 'classes')

    def place(name: str) -> Path:
        return names.path(f'{PurePath(name).stem}.png', source=name)

    source = open_source(args.images)
    for item in source.items:
        if not item.is_video:
            place(item.name)
    model = init_model(args.config, args.checkpoint, use_device(args.device))
    chosen = list(args.scores or model.scores)
    model.scores = build_scores(chosen + ([dict(type='sml', stats=args.sml)] if args.sml else []))

    @torch.no_grad()
    def infer(image: np.ndarray, name: str) -> str:
        inputs = torch.from_numpy(image).permute(2, 0, 1)
        inputs = model.data_preprocessor(dict(inputs=[inputs]))['inputs']
        dense = model.dense(inputs, keep_logits=args.probs)
        classes = place(name)
        for score, values in zip(model.scores, dense.scores[0].cpu().numpy(), strict=True):
            save_map(Path(args.out) / score / classes.stem, values)
        if args.probs:
            probs = dense.logits[0].softmax(0).cpu().numpy()
            save_probabilities(Path(args.out) / 'probs' / f'{classes.stem}.npz', probs)
        write_image(classes, dense.classes[0, 0].cpu().numpy().astype(np.uint8))
        return name

    return go_through(run_over(source, infer), args.out)
