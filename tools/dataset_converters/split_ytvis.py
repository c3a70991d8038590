"""Hold out a part of YouTube-VIS's training videos, as the servers that score the validation videos are closed.

    python tools/dataset_converters/split_ytvis.py data/ytvis_2019/train.json

writes train_split.json and holdout.json beside it. Every category keeps a fifth of its videos (a video counts for
its rarest category) but at least one for training. The same seed gives the same split.
"""

import argparse
import json
import os
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='train.json of YouTube-VIS')
    parser.add_argument(
        '--fraction', type=float, default=0.2, help='of videos held out (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


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


def write(path: Path, content: dict, ids: set) -> None:
    part = path.with_name(f'.{path.name}.part')
    kept = {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in ids],
        'annotations': [ann for ann in content['annotations'] if ann['video_id'] in ids],
    }
    part.write_text(json.dumps(kept))
    os.replace(part, path)
    print(f'{path}: {len(kept["videos"])} videos, {len(kept["annotations"])} tracks')


def main() -> None:
    args = parse_args()
    try:
        content = json.loads(args.annotations.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f'{args.annotations} cannot be read: {error}')
    if not content.get('annotations'):
        sys.exit(f'{args.annotations} has no annotations: the training file is needed')
    if not 0 < args.fraction < 1:
        sys.exit(f'--fraction is {args.fraction}, between 0 and 1 is expected')
    held = choose(content, args.fraction, args.seed)
    every = {video['id'] for video in content['videos']}
    write(args.annotations.with_name('train_split.json'), content, every - held)
    write(args.annotations.with_name('holdout.json'), content, held)


if __name__ == '__main__':
    main()
