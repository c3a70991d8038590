"""Run a segmentation model of configs/abet on a folder of images and save its anomaly scores.

    python tools/analysis_tools/save_scores.py CONFIG CHECKPOINT --images IMAGES --out SCORES

writes SCORES/NAME.npz with score_abet, score_msp, ... (H, W), the predicted classes and, with --probs,
the class probabilities that meta_classification.py needs.
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
    from pathlib import Path

    import torch
    from rich.progress import track

    from mmroad.abet.saved_scores import save_scores
    from mmroad.abet.scores import build_scores
    from mmroad.media import open_source
    from mmroad.zoo import init_model

    model = init_model(args.config, args.checkpoint, device=args.device)
    chosen = list(args.scores or model.scores)
    model.scores = build_scores(chosen + ([dict(type='sml', stats=args.sml)] if args.sml else []))
    images, number = open_source(args.images)
    for name, image in track(images, total=number, description='scoring'):
        inputs = torch.from_numpy(image).permute(2, 0, 1)
        inputs = model.data_preprocessor(dict(inputs=[inputs]))['inputs']
        with torch.no_grad():
            dense = model.dense(inputs, keep_logits=args.probs)
        scores = dict(zip(model.scores, dense.scores[0].cpu().numpy(), strict=True))
        probs = dense.logits[0].softmax(0).cpu().numpy() if args.probs else None
        save_scores(
            Path(args.out) / f'{Path(name).stem}.npz', scores, dense.classes[0, 0].cpu().numpy(), probs
        )
    print(f'{number} images: {args.out}')


if __name__ == '__main__':
    main()
