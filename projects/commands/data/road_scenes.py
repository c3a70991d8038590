"""Make a small data set of synthetic road scenes in BDD100K's layout (detection, segmentation, anomalies).

mmroad data road-scenes --out data/road_scenes
"""

import argparse
import time


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> None:
    from rich.progress import track

    from ...road_scenes.write import write_dataset

    steps = iter(
        track(range(args.train + args.val + args.ood + args.videos), 'drawing scenes', transient=True)
    )
    options = {k: v for k, v in vars(args).items() if k not in ('out', 'debug')}
    start = time.time()
    made = write_dataset(args.out, **options, progress=lambda: next(steps, None))
    print(
        f'{args.out}: {made["images"]} scenes with {made["boxes"]} boxes, {args.ood} scenes with '
        f'{made["ood"]} unknown objects, {args.videos} videos, in {time.time() - start:.1f} s'
    )
