"""Run a segmentation model of configs/abet on a folder of images and save its anomaly scores.

    mmroad scores save CONFIG CHECKPOINT --images IMAGES --out SCORES

writes SCORES/NAME.npz with score_abet, score_msp, ... (H, W), the predicted classes and, with --probs,
the class probabilities that meta_classification.py needs. NAME is the image's name without folder and suffix;
images that share one are refused.
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
    parser.add_argument('--sml', help='statistics of sml_statistics.py: adds the score sml')
    parser.add_argument('--probs', action='store_true', help='also save class probabilities')
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    from pathlib import PurePath

    import torch

    from ...abet.scores import build_scores
    from ...anomaly.saved_scores import save_scores
    from ...files import OutputNames
    from ...files.sources import open_source
    from ...inference.base import run_over
    from ...zoo.models import init_model

    names = OutputNames(args.out)

    def place(name: str):
        return names.path(f'{PurePath(name).stem}.npz', source=name)

    source = open_source(args.images)
    for item in source.items:
        if not item.is_video:
            place(item.name)
    model = init_model(args.config, args.checkpoint, use_device(args.device))
    chosen = list(args.scores or model.scores)
    model.scores = build_scores(chosen + ([dict(type='sml', stats=args.sml)] if args.sml else []))

    @torch.no_grad()
    def infer(image, name: str) -> str:
        inputs = torch.from_numpy(image).permute(2, 0, 1)
        inputs = model.data_preprocessor(dict(inputs=[inputs]))['inputs']
        dense = model.dense(inputs, keep_logits=args.probs)
        scores = dict(zip(model.scores, dense.scores[0].cpu().numpy(), strict=True))
        probs = dense.logits[0].softmax(0).cpu().numpy() if args.probs else None
        save_scores(place(name), scores, dense.classes[0, 0].cpu().numpy(), probs)
        return name

    return go_through(run_over(source, infer), args.out)
