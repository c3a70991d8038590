"""Convert labels of boxes between formats; what a format cannot hold is counted and named.

mmroad labels convert data/forklifts data/forklifts_coco --to coco
mmroad labels convert data/bdd100k data/bdd100k_yolo --to yolo
mmroad labels convert export.json labels.json --to scalabel --images images

Formats: bdd, scalabel, coco, yolo, voc, labelme, cvat, labelstudio. The source's is recognized.
Exit status 1: boxes are missing in the result, or are others than they were.
"""

from __future__ import annotations

import argparse

from . import add_source, check_form, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument('target', help='folder to write, or file where the format has one')
    parser.add_argument('--to', required=True, help='the format to write')
    parser.add_argument(
        '--image-size', type=size, metavar='WIDTHxHEIGHT', help='size of images that are not there'
    )
    parser.add_argument(
        '--image-files',
        choices=['link', 'copy', 'none'],
        help='put the images where the format looks for them (default: link for yolo and voc, none for others)',
    )


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    check_form(parser, args.form)
    check_form(parser, args.to)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from ...labels.formats import convert
    from ...labels.images import place_images

    sets, files, losses = convert(args.source, args.target, args.to, args.form, args.images, args.image_size)
    boxes = sum(len(image.boxes) for labels in sets.values() for image in labels.images)
    images = sum(map(len, sets.values()))
    print(f'read: {images} images, {boxes} boxes of {len(next(iter(sets.values())).classes)} classes')
    print(f'written: {", ".join(map(str, files))}')
    how = args.image_files or ('link' if args.to in ('yolo', 'voc') else 'none')
    target = Path(args.target)
    count, missing = place_images(sets, args.to, target.parent if target.suffix else target, how)
    if count:
        print(f'{count} images are {"linked" if how == "link" else "copied"} beside them')
    if missing and how != 'none':
        print(f'{len(missing)} images are not there to {how}, the first is {missing[0]}')
    for line in losses.lines():
        print(f'not kept: {line}')
    return 1 if losses.boxes or (missing and args.image_files not in (None, 'none')) else 0
