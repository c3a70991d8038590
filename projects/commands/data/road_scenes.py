"""Make a small data set of synthetic road scenes in BDD100K's layout (detection, segmentation, anomalies, tracking).

mmroad data road-scenes --out data/road_scenes
mmroad data road-scenes --out data/road_tracks --train 0 --val 0 --ood 0 --tracks 25 --frames 40
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
    parser.add_argument(
        '--tracks', type=int, default=0, help='drives, whose objects have tracks (default: none)'
    )
    parser.add_argument(
        '--stride', type=float, default=1, help='of drives: moments between two frames (default: %(default)s)'
    )
    parser.add_argument(
        '--ego',
        type=float,
        default=1,
        help='of drives: how much the camera moves, 0 is not (default: %(default)s)',
    )
    parser.add_argument('--frames', type=int, default=12, help='frames of a video (default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=(320, 192), metavar=('W', 'H'), help='pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--force', action='store_true', help='replace road scenes that are there')


def run(args: argparse.Namespace) -> None:
    from ...files.progress import track
    from ...road_scenes.write import write_dataset

    total = args.train + args.val + args.ood + args.videos + args.tracks
    steps = iter(track(range(total), 'drawing scenes'))
    options = {k: v for k, v in vars(args).items() if k not in ('out', 'debug')}
    start = time.time()
    made = write_dataset(args.out, **options, progress=lambda: next(steps, None))
    print(
        f'{args.out}: {made["images"]} scenes with {made["boxes"]} boxes, {args.ood} scenes with '
        f'{made["ood"]} unknown objects, {args.videos} videos, {args.tracks} drives with {made["tracked"]} '
        f'tracked boxes, in {time.time() - start:.1f} s'
    )
