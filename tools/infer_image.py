"""Run any model of images on an image, a folder, a glob or a video frame by frame.

    python tools/infer_image.py faster_rcnn_r50_fpn_3x_det_bdd100k published 'drives/*.jpg' --out-dir out

writes out/pictures/NAME and, of detectors, out/det.json (BDD100K's format) and out/det.coco.json; of segmentation,
out/classes/NAME.png. What cannot be read is left out and listed at the end, with exit code 1. infer_anomaly.py and
infer_detic.py have their models' further options.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of the config')
    parser.add_argument('checkpoint', help='file, or "published"')
    parser.add_argument('source', help='image, folder, glob or video file')
    parser.add_argument('--out-dir', required=True)
    parser.add_argument(
        '--threshold', type=float, help='scores from which detections are drawn (default: 0.3)'
    )
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--amp', action='store_true', help='compute in bfloat16, faster and less exact')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.inference.base import run_tool
    from mmroad.inference.build import inferencer

    try:
        run = inferencer(args.config, args.checkpoint, args.device, args.threshold, args.amp).run
        run_tool(run(args.source, args.out_dir), args.out_dir, 'images')
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
