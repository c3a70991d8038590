"""Segment images, a folder or glob of them, or a video frame by frame with a semantic or panoptic model.

    python tools/infer_image.py rankseg_swin_b_bdd100k rankseg.pth 'drives/*.jpg' --out-dir out

writes out/classes/NAME.png and out/pictures/NAME.jpg (of a video, out/NAME.mp4).
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of the config')
    parser.add_argument('checkpoint')
    parser.add_argument('source', help='image, folder, glob or video file')
    parser.add_argument('--out-dir', required=True)
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.rankseg.inference import ImageInferencer
    from mmroad.zoo import init_model

    try:
        model = init_model(args.config, args.checkpoint, args.device)
        count = sum(1 for _ in ImageInferencer(model).run(args.source, args.out_dir))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))
    print(f'{count} images written to {args.out_dir}')


if __name__ == '__main__':
    main()
