"""The options of ``mmroad train`` for data of one's own and for recipes. Nothing heavy is imported here."""

from __future__ import annotations

import argparse

#: Options that need ``--data``.
_OF_DATA = ('form', 'images', 'val_split', 'classes', 'outliers')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group(
        'data of your own', 'a config for it is made, written to WORK_DIR/own/ and trained (docs/own_data.md)'
    )
    data.add_argument(
        '--data',
        metavar='DIR',
        help='a data set: BDD100K, Scalabel, COCO, YOLO, Pascal VOC, labelme, CVAT, Label Studio; for segmentation '
        'images and masks with classes.txt',
    )
    data.add_argument('--from', dest='form', help='its format, where it is not recognized')
    data.add_argument('--images', metavar='DIR', help='the folder of its images, where they are not found')
    data.add_argument('--classes', nargs='+', metavar='NAME', help='these classes alone, in this order')
    data.add_argument(
        '--val-split',
        type=float,
        metavar='PART',
        help='of one set, the part that is held out (default: 0.1; 0 validates on the training images)',
    )
    data.add_argument(
        '--weights', help='published (default where there are some), initial, none, a file or an URL'
    )
    data.add_argument(
        '--outliers', metavar='DIR', help='images/ and masks/ of outliers, for anomaly fine-tuning'
    )
    data.add_argument('--seed', type=int, default=0, help='of the split (default: 0)')
    recipe = parser.add_argument_group('recipes', 'changes of the config in one flag each (docs/recipes.md)')
    recipe.add_argument(
        '--image-size', type=_size, metavar='WIDTHxHEIGHT', help='size that images are scaled into'
    )
    recipe.add_argument(
        '--epochs', type=_positive, help='passes over the data; all else of the schedule follows'
    )
    recipe.add_argument(
        '--batch-size', type=_positive, help='images of each process; the learning rate follows'
    )
    recipe.add_argument('--lr', type=float, help='the learning rate, as it is')
    recipe.add_argument(
        '--where',
        nargs='+',
        metavar='KEY=VALUE',
        help='train on images of these attributes, such as timeofday=night',
    )
    recipe.add_argument(
        '--freeze-stages', type=int, metavar='N', help='keep the first stages of the backbone'
    )
    recipe.add_argument(
        '--early-stopping', type=_positive, metavar='N', help='end after N validations without a gain'
    )
    recipe.add_argument('--ema', action='store_true', help='average the weights, and validate the average')
    recipe.add_argument(
        '--accumulate',
        type=_positive,
        metavar='N',
        help='a step every N batches, with the mean of their gradients (docs/speed.md)',
    )
    recipe.add_argument(
        '--small-gpu',
        action='store_true',
        help='one image at a time, mixed precision, activations computed again',
    )
    recipe.add_argument(
        '--class-balanced',
        type=float,
        nargs='?',
        const=0.1,
        metavar='PART',
        help='repeat images of classes that are in fewer than this part of the images (default: 0.1)',
    )
    recipe.add_argument('--keep-empty', action='store_true', help='train on images without a box too')
    recipe.add_argument('--negatives', metavar='DIR', help='further images in which there is nothing to find')
    recipe.add_argument(
        '--hard-by',
        metavar='DET.json',
        help='of the negatives, those in which these predictions find something',
    )
    recipe.add_argument('--hard-score', type=float, default=0.3, help='... from this score on (default: 0.3)')


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f'{text!r} is no size; write WIDTHxHEIGHT, such as 1280x720')
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


#: The options of `add_arguments` that make a config of one's own, with what they are when not given. ``--accumulate``
#: alone leaves the schedule of a config as it is (`mmroad.runtime.training.accumulation`).
RECIPES = dict(
    image_size=None,
    epochs=None,
    batch_size=None,
    lr=None,
    where=None,
    freeze_stages=None,
    early_stopping=None,
    ema=False,
    small_gpu=False,
    class_balanced=None,
    keep_empty=False,
    negatives=None,
)


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that need another one, before anything heavy is imported."""
    from .. import FORMATS

    for name in _OF_DATA:
        if getattr(args, name) is not None and not args.data and name != 'outliers':
            option = '--from' if name == 'form' else f'--{name.replace("_", "-")}'
            parser.error(f'{option} goes with --data DIR')
    if args.form is not None and args.form not in FORMATS:
        parser.error(f'--from {args.form}: known are {", ".join(FORMATS)}')
    if args.val_split is not None and not 0 <= args.val_split < 1:
        parser.error(f'--val-split {args.val_split:g}: the part that is held out, 0 to below 1')
    if args.hard_by and not args.negatives:
        parser.error('--hard-by chooses among --negatives DIR')
    bad = [pair for pair in args.where or () if not all(pair.partition('=')[::2])]
    if bad:
        parser.error(f'--where takes KEY=VALUE, not {bad[0]!r}')


def is_own(args: argparse.Namespace) -> bool:
    """Whether a config is to be made."""
    changed = any(getattr(args, name) != value for name, value in RECIPES.items())
    return bool(args.data or args.outliers or args.weights or changed)
