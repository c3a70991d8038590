"""Open-vocabulary detection in an image, a folder, a glob or a video.

    python tools/infer_detic.py Detic_LCOCOI21k_CLIP_SwinB_896b32_4x_ft4x_max-size detic.pth street.mp4 \\
        --out-dir out --classes "traffic cone, rider, stroller" --encoder open_clip

writes out/pictures/NAME, out/det.json (BDD100K's format), out/results.json (COCO's and LVIS's result format, with
masks) and, with --features, out/features/NAME.npz. Without --classes and --vocabulary the model's own classes are used.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of the config')
    parser.add_argument('checkpoint')
    parser.add_argument('source', help='image, folder, glob (quoted) or video')
    parser.add_argument('--out-dir', required=True)
    words = parser.add_mutually_exclusive_group()
    words.add_argument('--vocabulary', help='.safetensors file of named class embeddings')
    words.add_argument('--classes', help='comma list (NAME or NAME=OTHER); see tools/make_vocabulary.py')
    parser.add_argument(
        '--embeddings',
        action='append',
        metavar='FILE[:NAMES]',
        help="where --classes are looked up (default: the checkpoint's own classifier)",
    )
    parser.add_argument(
        '--encoder', choices=('open_clip', 'transformers'), help='for classes that are nowhere'
    )
    parser.add_argument('--threshold', type=float, default=0.5, help='scores that are drawn (default: 0.5)')
    parser.add_argument('--all-classes', action='store_true', help='not the best class of a proposal alone')
    parser.add_argument('--no-masks', action='store_true')
    parser.add_argument('--features', action='store_true', help="write the regions' embeddings")
    parser.add_argument('--annotations', help='COCO- or LVIS-style file whose ids results.json uses')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--amp', action='store_true', help='compute in bfloat16, faster and less exact')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import torch

    from mmroad.detic.make_vocabulary import make_vocabulary
    from mmroad.detic.vocabulary import load_vocabulary
    from mmroad.inference.base import run_tool
    from mmroad.inference.open_vocabulary import DeticInferencer
    from mmroad.runtime.speed.accelerate import for_inference
    from mmroad.zoo.models import init_model

    try:
        vocabulary = load_vocabulary(args.vocabulary) if args.vocabulary else None
        if args.classes:
            sources = args.embeddings or ([] if args.encoder else [args.checkpoint])
            vocabulary, _ = make_vocabulary(args.classes, sources, args.encoder)
        model = init_model(args.config, args.checkpoint, args.device)
        for_inference(model, torch.bfloat16 if args.amp else None)
        inferencer = DeticInferencer(
            model, args.threshold, vocabulary, args.all_classes, not args.no_masks, args.features
        )
        run_tool(inferencer.run(args.source, args.out_dir, annotations=args.annotations), args.out_dir)
    except (OSError, ValueError, KeyError, ImportError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
