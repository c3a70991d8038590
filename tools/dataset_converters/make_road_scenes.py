"""Make a small data set of synthetic road scenes in BDD100K's layout (detection, segmentation, anomalies).

python tools/dataset_converters/make_road_scenes.py --out data/road_scenes
"""

import argparse
import sys
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='data/road_scenes', help='folder to make (default: %(default)s)')
    parser.add_argument('--train', type=int, default=600, help='training scenes (default: %(default)s)')
    parser.add_argument('--val', type=int, default=100, help='held-out scenes (default: %(default)s)')
    parser.add_argument(
        '--ood', type=int, default=60, help='scenes with unknown objects (default: %(default)s)'
    )
    parser.add_argument('--videos', type=int, default=0, help='scenes in motion (default: none)')
    parser.add_argument('--frames', type=int, default=12, help='frames of a video (default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=(320, 192), metavar=('W', 'H'), help='pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--force', action='store_true', help='replace road scenes that are there')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from rich.progress import track

    from mmroad.road_scenes.write import write_dataset

    steps = iter(
        track(range(args.train + args.val + args.ood + args.videos), 'drawing scenes', transient=True)
    )
    options = {k: v for k, v in vars(args).items() if k != 'out'}
    start = time.time()
    try:
        made = write_dataset(args.out, **options, progress=lambda: next(steps, None))
    except (FileExistsError, ValueError) as error:
        sys.exit(str(error))
    print(
        f'{args.out}: {made["images"]} scenes with {made["boxes"]} boxes, {args.ood} scenes with '
        f'{made["ood"]} unknown objects, {args.videos} videos, in {time.time() - start:.1f} s'
    )


if __name__ == '__main__':
    main()
