"""Hold out a part of YouTube-VIS's training videos, as the servers that score the validation videos are closed.

    mmroad data split-ytvis data/ytvis_2019/train.json

writes train_split.json and holdout.json beside it. Every category keeps a fifth of its videos (a video counts for
its rarest category) but at least one for training. The same seed gives the same split.
"""

import argparse
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', type=Path, help='train.json of YouTube-VIS')
    parser.add_argument(
        '--fraction', type=float, default=0.2, help='of videos held out (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0)


def choose(content: dict, fraction: float, seed: int) -> set:
    """The ids of the videos to hold out."""
    found = Counter(ann['category_id'] for ann in content['annotations'])
    categories = defaultdict(set)
    for ann in content['annotations']:
        categories[ann['video_id']].add(ann['category_id'])
    groups = defaultdict(list)
    for video in content['videos']:
        rarest = min(categories[video['id']], key=lambda c: (found[c], c), default=None)
        groups[rarest].append(video['id'])
    chosen = set()
    for category in sorted(groups, key=str):
        videos = sorted(groups[category])
        random.Random(f'{seed} {category}').shuffle(videos)
        number = min(max(round(fraction * len(videos)), 1), len(videos) - 1)
        chosen |= set(videos[:number])
    return chosen


def run(args: argparse.Namespace) -> None:
    if not 0 < args.fraction < 1:
        sys.exit(f'--fraction is {args.fraction}, between 0 and 1 is expected')
    from ...files import OutputNames, write_json
    from ...rankseg.video.annotations import of_videos, read_annotations

    outputs = OutputNames(args.annotations.parent, [args.annotations])
    train, holdout = (outputs.path(name) for name in ('train_split.json', 'holdout.json'))
    content = read_annotations(args.annotations, masks=False)
    if not content.get('annotations'):
        sys.exit(f'{args.annotations} has no annotations: the training file is needed')
    held = choose(content, args.fraction, args.seed)
    if not held:
        sys.exit(f'{args.annotations}: no category has two videos, so that none can be held out')
    every = {video['id'] for video in content['videos']}
    for path, ids in ((train, every - held), (holdout, held)):
        part = of_videos(content, ids)
        write_json(path, part)
        print(f'{path}: {len(part["videos"])} videos, {len(part["annotations"])} tracks')
