"""Anomaly segmentation of an image, a folder, a glob or a video.

    python tools/infer_anomaly.py rba_swin_b_1dl_ood_coco rba.pth street.jpg --out-dir out

writes out/pictures/NAME.jpg, out/classes/NAME.png and out/anomaly/NAME.npz.
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
    parser.add_argument('--score', help="another anomaly score than the config's")
    parser.add_argument('--scale', type=float, nargs=2, metavar=('LOW', 'HIGH'), help="the heat map's scores")
    parser.add_argument('--threshold', type=float, help='outline scores above it')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--amp', action='store_true', help='compute in bfloat16, faster and less exact')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import torch

    from mmroad.inference.anomaly import AnomalyInferencer
    from mmroad.inference.base import run_tool
    from mmroad.runtime.speed.accelerate import for_inference
    from mmroad.zoo.models import init_model

    try:
        model = init_model(args.config, args.checkpoint, args.device)
        for_inference(model, torch.bfloat16 if args.amp else None)
        inferencer = AnomalyInferencer(model, args.score, args.scale, args.threshold)
        run_tool(inferencer.run(args.source, args.out_dir), args.out_dir)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
