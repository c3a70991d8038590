"""Run a segmentation model of configs/abet on a folder of images and save its anomaly scores.

    python tools/analysis_tools/save_scores.py CONFIG CHECKPOINT --images IMAGES --out SCORES

writes SCORES/NAME.npz with score_abet, score_msp, ... (H, W), the predicted classes and, with --probs,
the class probabilities that meta_classification.py needs. NAME is the image's name without folder and suffix;
images that share one are refused.
"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of a config')
    parser.add_argument('checkpoint')
    parser.add_argument('--images', required=True, help='folder, file or glob of images')
    parser.add_argument('--out', required=True)
    parser.add_argument('--scores', nargs='+', help="other scores than the config's")
    parser.add_argument('--sml', help='statistics of sml_statistics.py: adds the score sml')
    parser.add_argument('--probs', action='store_true', help='also save class probabilities')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import sys
    from pathlib import PurePath

    import torch

    from mmroad.abet.scores import build_scores
    from mmroad.anomaly.saved_scores import save_scores
    from mmroad.files import OutputNames
    from mmroad.files.sources import open_source
    from mmroad.inference.base import run_over, run_tool
    from mmroad.zoo.models import init_model

    names = OutputNames(args.out)

    def place(name: str):
        return names.path(f'{PurePath(name).stem}.npz', source=name)

    try:
        source = open_source(args.images)
        for item in source.items:
            if not item.is_video:
                place(item.name)
        model = init_model(args.config, args.checkpoint, device=args.device)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))
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

    run_tool(run_over(source, infer), args.out, 'images')


if __name__ == '__main__':
    main()
